"""LoadReferenceImages and EncodeReferences: a list of pictures, which the pipeline takes as they are."""

from __future__ import annotations

from collections.abc import Iterable

from limner.engine.user_path import user_path
from limner.nodes._plain.script import NoPlainForm
from limner.nodes._plain.step import Emitter, Pictures, References, Step
from limner.nodes._user_pictures import named_files

_READ = '''\
def read(path):
    """RGB, turned as the camera was held; what is transparent becomes white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")'''


def load(step: Step) -> tuple[Pictures]:
    """Read the files, then take the pictures of other nodes."""
    script = step.script
    files: Iterable[str] = vars(step.node)["files"]
    names = [name for given in files for name in named_files(given)]
    for name in names:
        _refuse_16_bits(name)
    wired: list[Pictures] = step.inputs.get("images") or []
    parts = [pictures.code for pictures in wired]
    if names:
        constant = script.constant("references", names, of=step.id)
        script.use("PIL", "Image", "ImageOps")
        script.define(_READ)
        parts.insert(0, f"[read(path) for path in {constant}]")
    pictures = script.name("pictures")
    script.add(f"{pictures} = {' + '.join(parts)}")
    return (Pictures(pictures, len(names) + sum(one.count for one in wired)),)


def _refuse_16_bits(name: str) -> None:
    import PIL.Image

    with PIL.Image.open(user_path(name)) as image:
        if image.mode.startswith("I"):
            raise NoPlainForm(f"{name} has 16 bits a channel, which Pillow alone brings to 8 in another way")


def encode(step: Step) -> tuple[References]:
    """Nothing is written: the pipeline encodes them where it draws."""
    return (References(step, step.inputs["vae"], step.inputs["references"]),)


LOAD_REFERENCE_IMAGES = Emitter(load, frozenset({"files"}), frozenset({"images"}))
ENCODE_REFERENCES = Emitter(encode, frozenset(), frozenset({"vae", "references"}))
