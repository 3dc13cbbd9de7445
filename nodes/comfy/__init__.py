"""The nodes that ComfyUI's workflows for FLUX.2 consist of, thin over ours."""

from __future__ import annotations

from limner.engine.node import Node
from limner.nodes.comfy.basic_guider import ComfyBasicGuider
from limner.nodes.comfy.basic_scheduler import ComfyBasicScheduler
from limner.nodes.comfy.cfg_guider import ComfyCFGGuider
from limner.nodes.comfy.clip_loader import ComfyCLIPLoader
from limner.nodes.comfy.clip_text_encode import ComfyCLIPTextEncode
from limner.nodes.comfy.comfy_switch_node import ComfyComfySwitchNode
from limner.nodes.comfy.conditioning_zero_out import ComfyConditioningZeroOut
from limner.nodes.comfy.empty_flux2_latent_image import ComfyEmptyFlux2LatentImage
from limner.nodes.comfy.flux2_scheduler import ComfyFlux2Scheduler
from limner.nodes.comfy.flux_guidance import ComfyFluxGuidance
from limner.nodes.comfy.flux_kv_cache import ComfyFluxKVCache
from limner.nodes.comfy.get_image_size import ComfyGetImageSize
from limner.nodes.comfy.image_scale import ComfyImageScale
from limner.nodes.comfy.image_scale_by import ComfyImageScaleBy
from limner.nodes.comfy.image_scale_to_total_pixels import ComfyImageScaleToTotalPixels
from limner.nodes.comfy.k_sampler import ComfyKSampler
from limner.nodes.comfy.k_sampler_select import ComfyKSamplerSelect
from limner.nodes.comfy.load_image import ComfyLoadImage
from limner.nodes.comfy.lora_loader import ComfyLoraLoader
from limner.nodes.comfy.lora_loader_model_only import ComfyLoraLoaderModelOnly
from limner.nodes.comfy.primitive_boolean import ComfyPrimitiveBoolean
from limner.nodes.comfy.primitive_float import ComfyPrimitiveFloat
from limner.nodes.comfy.primitive_int import ComfyPrimitiveInt
from limner.nodes.comfy.primitive_string import ComfyPrimitiveString
from limner.nodes.comfy.primitive_string_multiline import ComfyPrimitiveStringMultiline
from limner.nodes.comfy.random_noise import ComfyRandomNoise
from limner.nodes.comfy.reference_latent import ComfyReferenceLatent
from limner.nodes.comfy.sampler_custom_advanced import ComfySamplerCustomAdvanced
from limner.nodes.comfy.save_image import ComfySaveImage
from limner.nodes.comfy.save_image_websocket import ComfySaveImageWebsocket
from limner.nodes.comfy.unet_loader import ComfyUNETLoader
from limner.nodes.comfy.unet_loader_gguf import ComfyUnetLoaderGGUF
from limner.nodes.comfy.vae_decode import ComfyVAEDecode
from limner.nodes.comfy.vae_encode import ComfyVAEEncode
from limner.nodes.comfy.vae_loader import ComfyVAELoader

NODES: tuple[type[Node], ...] = (
    ComfyUNETLoader,
    ComfyUnetLoaderGGUF,
    ComfyCLIPLoader,
    ComfyVAELoader,
    ComfyLoraLoaderModelOnly,
    ComfyLoraLoader,
    ComfyFluxKVCache,
    ComfyCLIPTextEncode,
    ComfyConditioningZeroOut,
    ComfyFluxGuidance,
    ComfyLoadImage,
    ComfyImageScaleToTotalPixels,
    ComfyImageScale,
    ComfyImageScaleBy,
    ComfyGetImageSize,
    ComfyVAEEncode,
    ComfyReferenceLatent,
    ComfyBasicGuider,
    ComfyCFGGuider,
    ComfyRandomNoise,
    ComfyKSamplerSelect,
    ComfyFlux2Scheduler,
    ComfyBasicScheduler,
    ComfyEmptyFlux2LatentImage,
    ComfySamplerCustomAdvanced,
    ComfyKSampler,
    ComfyVAEDecode,
    ComfySaveImage,
    ComfySaveImageWebsocket,
    ComfyComfySwitchNode,
    ComfyPrimitiveInt,
    ComfyPrimitiveFloat,
    ComfyPrimitiveBoolean,
    ComfyPrimitiveString,
    ComfyPrimitiveStringMultiline,
)
"""In the order of a first workflow."""

__all__ = [
    "NODES",
    "ComfyBasicGuider",
    "ComfyBasicScheduler",
    "ComfyCFGGuider",
    "ComfyCLIPLoader",
    "ComfyCLIPTextEncode",
    "ComfyComfySwitchNode",
    "ComfyConditioningZeroOut",
    "ComfyEmptyFlux2LatentImage",
    "ComfyFlux2Scheduler",
    "ComfyFluxGuidance",
    "ComfyFluxKVCache",
    "ComfyGetImageSize",
    "ComfyImageScale",
    "ComfyImageScaleBy",
    "ComfyImageScaleToTotalPixels",
    "ComfyKSampler",
    "ComfyKSamplerSelect",
    "ComfyLoadImage",
    "ComfyLoraLoader",
    "ComfyLoraLoaderModelOnly",
    "ComfyPrimitiveBoolean",
    "ComfyPrimitiveFloat",
    "ComfyPrimitiveInt",
    "ComfyPrimitiveString",
    "ComfyPrimitiveStringMultiline",
    "ComfyRandomNoise",
    "ComfyReferenceLatent",
    "ComfySamplerCustomAdvanced",
    "ComfySaveImage",
    "ComfySaveImageWebsocket",
    "ComfyUNETLoader",
    "ComfyUnetLoaderGGUF",
    "ComfyVAEDecode",
    "ComfyVAEEncode",
    "ComfyVAELoader",
]
