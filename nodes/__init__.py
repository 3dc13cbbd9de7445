"""The nodes of Limner, one a file, and the values that travel on their wires."""

from __future__ import annotations

from limner.engine.node import Node
from limner.nodes.apply_lora import ApplyLoRA
from limner.nodes.comfy import NODES as COMFY_NODES
from limner.nodes.compare import Compare
from limner.nodes.crop_to_mask import CropToMask
from limner.nodes.denoise import Denoise
from limner.nodes.encode_image import EncodeImage
from limner.nodes.encode_references import EncodeReferences
from limner.nodes.feather_mask import FeatherMask
from limner.nodes.grow_mask import GrowMask
from limner.nodes.inpaint import Inpaint
from limner.nodes.integer import Integer
from limner.nodes.load_image import LoadImage
from limner.nodes.load_mask import LoadMask
from limner.nodes.load_model import LoadModel
from limner.nodes.load_reference_images import LoadReferenceImages
from limner.nodes.load_text_encoder import LoadTextEncoder
from limner.nodes.load_transformer import LoadTransformer
from limner.nodes.load_vae import LoadVAE
from limner.nodes.number import Number
from limner.nodes.paste import Paste
from limner.nodes.pick_latent import PickLatent
from limner.nodes.preview_image import PreviewImage
from limner.nodes.quantize import Quantize
from limner.nodes.remote_encode import RemoteEncode
from limner.nodes.save_image import SaveImage
from limner.nodes.save_model import SaveModel
from limner.nodes.save_table import SaveTable
from limner.nodes.structured_prompt import StructuredPrompt
from limner.nodes.text import Text
from limner.nodes.text_encode import TextEncode
from limner.nodes.upsample_prompt import UpsamplePrompt
from limner.nodes.vae_decode import VAEDecode

NODES: tuple[type[Node], ...] = (
    LoadModel,
    LoadTransformer,
    LoadTextEncoder,
    LoadVAE,
    Quantize,
    SaveModel,
    ApplyLoRA,
    StructuredPrompt,
    UpsamplePrompt,
    TextEncode,
    RemoteEncode,
    LoadReferenceImages,
    EncodeReferences,
    Denoise,
    PickLatent,
    VAEDecode,
    SaveImage,
    PreviewImage,
    LoadImage,
    EncodeImage,
    LoadMask,
    GrowMask,
    FeatherMask,
    CropToMask,
    Inpaint,
    Paste,
    Compare,
    SaveTable,
    Text,
    Integer,
    Number,
    *COMFY_NODES,
)
"""What the entry point ``limner.nodes`` offers, in the order of a first graph."""

__all__ = [
    "NODES",
    "ApplyLoRA",
    "Compare",
    "CropToMask",
    "Denoise",
    "EncodeImage",
    "EncodeReferences",
    "FeatherMask",
    "GrowMask",
    "Inpaint",
    "Integer",
    "LoadImage",
    "LoadMask",
    "LoadModel",
    "LoadReferenceImages",
    "LoadTextEncoder",
    "LoadTransformer",
    "LoadVAE",
    "Number",
    "Paste",
    "PickLatent",
    "PreviewImage",
    "Quantize",
    "RemoteEncode",
    "SaveImage",
    "SaveModel",
    "SaveTable",
    "StructuredPrompt",
    "Text",
    "TextEncode",
    "UpsamplePrompt",
    "VAEDecode",
]
