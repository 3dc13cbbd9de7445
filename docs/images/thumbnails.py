"""Draw the templates' thumbnails with the embedded model: ``python docs/images/thumbnails.py [NAME ...]``.

Each is what the template draws. Where one needs a picture, a mask or a LoRA, it gets one; what only a card or a service
can do is left out, which changes no picture.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import PIL.Image

from limner import Session
from limner.engine.document import Document
from limner.engine.parameters import describe
from limner.engine.result import Result

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "graphs" / "pictures"
SIDE = 360
"""Pixels, at most."""
PROMPTS = {
    "text_to_image": "a large striped orange ring on a purple background",
    "klein_4b": "a large yellow star on a navy background",
    "klein_9b": "a green diamond on a #f0e0c0 background",
    "klein_base_cfg": "a large blue heart on a pink background",
    "cpu_offload_62gb": "a white triangle on a teal background",
    "flash_attention_3": "a large red star on a white background",
    "group_offload_8gb": "a large purple square on a yellow background",
    "group_offload_low_ram_10gb": "a large orange circle on a navy background",
    "nf4_20gb": "a large teal ring on a black background",
    "remote_encoder_nf4_18gb": "a large pink heart on a #203040 background",
    "lora": "a large white moon on a navy background",
    "lora_stack": "a large yellow moon on a purple background",
    "edit_with_references": "change the background to purple",
    "inpaint": "a large yellow star on a #203040 background",
}


def drawable(document: Document) -> Document:
    """The same graph for a processor alone: without offload, and with a text encoder that is here."""
    raw = json.loads(document.to_json())
    for name, node in raw["nodes"].items():
        node.pop("offload", None)
        settings = node.setdefault("settings", {})
        settings.pop("attention", None)
        if node["type"] == "RemoteEncode":
            kept = {one: f"{name}.{one}" for one in ("prompt", "negative_prompt")}
            node["type"], node["wires"] = "TextEncode", {"text_encoder": "model.text_encoder"}
            node["settings"] = {one: settings[one] for one in kept if one in settings}
            others = {one: to for one, to in raw["parameters"].items() if not str(to).startswith(f"{name}.")}
            raw["parameters"] = others | kept
    return Document.model_validate(raw)


def values_for(session: Session, document: Document) -> dict[str, Any]:
    """The embedded model, a prompt, and the files that a template cannot do without."""
    lora = str(ROOT / "tiny" / "lora" / "moon.safetensors")
    known = {
        "model": "tiny",
        "prompt": PROMPTS.get(document.name),
        "seed": 7,
        "images": ["picture.png"],
        "image": "picture.png",
        "mask": "mask.png",
        "lora": lora,
        "second_lora": lora,
        "strength": 1.0,
    }
    offered = {one.name for one in describe(document, session.registry, session.library)}
    return {name: value for name, value in known.items() if name in offered and value is not None}


def main() -> None:
    """Draw those that are named, or all."""
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        os.chdir(folder)
        first = session.run("text_to_image", prompt="a large red circle on a #203040 background", seed=7)
        save(first, Path("picture.png"))
        width, height = PIL.Image.open("picture.png").size
        mask = PIL.Image.new("L", (width, height))
        mask.paste(255, (width // 8, height // 8, width * 7 // 8, height * 7 // 8))
        mask.save("mask.png")
        for name in names or session.library.names():
            document = drawable(session.document(name))
            result = session.run(document, **values_for(session, document))
            save(result, PLACE / f"{name}.webp")
            print(name)


def save(result: Result, path: Path) -> None:
    """The picture that was saved, in the size of a thumbnail."""
    (files,) = result.outputs["save"].values()
    with PIL.Image.open(files.paths[0]) as image:
        whole = image.convert("RGB")
    if path.suffix == ".webp":
        scale = SIDE / max(whole.size)
        whole = whole.resize((round(whole.width * scale), round(whole.height * scale)), PIL.Image.Resampling.LANCZOS)
    whole.save(path, quality=85)


if __name__ == "__main__":
    main()
