"""Node classes of ComfyUI's that people have in their FLUX.2 workflows and that are not here: why, and what is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from limner.engine.errors import suggest

_OTHER_MODEL: Final = "this is a workflow of another model than FLUX.2"
_THREE_FILES: Final = "FLUX.2 comes as three files: use UNETLoader, CLIPLoader and VAELoader"
_SIZE: Final = "use EmptyFlux2LatentImage"
_EULER: Final = "KSamplerSelect with euler is the sampler that is here"
_INPAINT: Final = "masks are for our Inpaint node: docs/references.md"
_SCALE: Final = "no upscaling model is here; ImageScale and ImageScaleBy scale with lanczos"
_LORAS: Final = "use a LoraLoaderModelOnly for each LoRA"
_PROMPT: Final = "use CLIPTextEncode"
_VALUE: Final = "write what it gives into a PrimitiveInt, a PrimitiveFloat or a PrimitiveString"
_ONE_BY_ONE: Final = "references come one by one: give each a VAEEncode and a ReferenceLatent"
_NO_VIDEO: Final = "FLUX.2 draws pictures, and no videos"
_CACHE: Final = "our Denoise has step_cache: limner import --native, without this node"

_SAID: Final[Mapping[str, str]] = {
    "CheckpointLoaderSimple": _THREE_FILES,
    "CheckpointLoader": _THREE_FILES,
    "UnetLoaderGGUFAdvanced": "use UnetLoaderGGUF",
    "LoaderGGUF": "use UnetLoaderGGUF",
    "LoaderGGUFAdvanced": "use UnetLoaderGGUF",
    "CLIPLoaderGGUF": "text encoders in GGUF are not read: use CLIPLoader with a .safetensors file in bfloat16 or fp8",
    "ClipLoaderGGUF": "text encoders in GGUF are not read: use CLIPLoader with a .safetensors file in bfloat16 or fp8",
    "DualCLIPLoader": f"{_OTHER_MODEL}: FLUX.2 has one text encoder, in CLIPLoader",
    "TripleCLIPLoader": _OTHER_MODEL,
    "DualCLIPLoaderGGUF": _OTHER_MODEL,
    "CLIPTextEncodeFlux": f"{_PROMPT} and FluxGuidance",
    "CLIPTextEncodeSDXL": _OTHER_MODEL,
    "CLIPSetLastLayer": "FLUX.2 reads fixed layers of its text encoder: leave this node out",
    "EmptyLatentImage": _SIZE,
    "EmptySD3LatentImage": _SIZE,
    "EmptyHunyuanLatentVideo": _OTHER_MODEL,
    "KSamplerAdvanced": "use KSampler, or SamplerCustomAdvanced with Flux2Scheduler",
    "SamplerCustom": "use SamplerCustomAdvanced with a guider",
    "SplitSigmas": "schedules are run from their beginning to their end",
    "SplitSigmasDenoise": "schedules are run from their beginning to their end",
    "BetaSamplingScheduler": "use Flux2Scheduler",
    "AlignYourStepsScheduler": _OTHER_MODEL,
    "ModelSamplingFlux": "it changes only the schedules of KSampler and BasicScheduler: use Flux2Scheduler without it",
    "ModelSamplingAuraFlow": _OTHER_MODEL,
    "ModelSamplingSD3": _OTHER_MODEL,
    "DetailDaemonSamplerNode": _EULER,
    "ClownsharKSampler_Beta": _EULER,
    "FluxKontextImageScale": "use ImageScaleToTotalPixels",
    "FluxKontextMultiReferenceLatentMethod": "FLUX.2 has one way to place references: leave this node out",
    "ImageScaleToMaxDimension": "use ImageScale with a side of 0, or ImageScaleToTotalPixels",
    "ResizeImageMaskNode": "use ImageScale",
    "LoadImageOutput": "use LoadImage",
    "BatchImagesNode": _ONE_BY_ONE,
    "ImageBatch": _ONE_BY_ONE,
    "ResolutionSelector": _VALUE,
    "ComfyMathExpression": _VALUE,
    "StringConcatenate": _VALUE,
    "StringReplace": _VALUE,
    "RegexReplace": _VALUE,
    "RegexExtract": _VALUE,
    "JsonExtractString": _VALUE,
    "TextGenerate": "our UpsamplePrompt writes prompts, with dev's text encoder",
    "ManualSigmas": "use Flux2Scheduler",
    "TextEncodeQwenImageEditPlus": _OTHER_MODEL,
    "CreateVideo": _NO_VIDEO,
    "SaveVideo": _NO_VIDEO,
    "LoadVideo": _NO_VIDEO,
    "GetVideoComponents": _NO_VIDEO,
    "ImageResizeKJ": "use ImageScale",
    "ImageResizeKJv2": "use ImageScale",
    "ImageResize+": "use ImageScale",
    "ImageUpscaleWithModel": _SCALE,
    "UpscaleModelLoader": _SCALE,
    "UltimateSDUpscale": _SCALE,
    "SeedVR2VideoUpscaler": _SCALE,
    "LatentUpscale": "latents are not scaled: scale the picture, and give it as a reference",
    "LatentUpscaleBy": "latents are not scaled: scale the picture, and give it as a reference",
    "SetLatentNoiseMask": _INPAINT,
    "InpaintModelConditioning": _INPAINT,
    "VAEEncodeForInpaint": _INPAINT,
    "LoadImageMask": _INPAINT,
    "VAEDecodeTiled": "use VAEDecode: the plan says whether it fits",
    "VAEEncodeTiled": "use VAEEncode",
    "ControlNetLoader": "no ControlNet is here: references do what they can",
    "ControlNetApplyAdvanced": "no ControlNet is here: references do what they can",
    "Power Lora Loader (rgthree)": _LORAS,
    "Lora Loader Stack (rgthree)": _LORAS,
    "LoraLoaderStack": _LORAS,
    "Seed (rgthree)": "use PrimitiveInt, or the sampler's own seed",
    "Any Switch (rgthree)": "use ComfySwitchNode, or wire what is to be taken",
    "PathchSageAttentionKJ": "our Denoise has attention: limner import --native, without this node",
    "TeaCache": _CACHE,
    "CacheDiT_Model_Optimizer": _CACHE,
    "Anything Everywhere": "it draws wires that are in no file: export the workflow for the API",
    "Anything Everywhere3": "it draws wires that are in no file: export the workflow for the API",
    "Prompts Everywhere": "it draws wires that are in no file: export the workflow for the API",
}


def instead_of(name: str, known: Iterable[str]) -> str | None:
    """What to use where a node class is not known, or the nearest one that is."""
    if (said := _SAID.get(name)) is not None:
        return said
    found = suggest(name, known)
    return found if found is not None and found.startswith("did you mean") else None
