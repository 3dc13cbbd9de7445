"""SaveImage and PreviewImage: pictures as files, without a graph inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limner.engine.user_path import user_path
from limner.nodes._plain.step import Emitter, Pictures, Step


def save(step: Step) -> tuple[None]:
    """Write the files, numbered where there are several."""
    script, pictures = step.script, step.inputs["images"]
    assert isinstance(pictures, Pictures)
    node: dict[str, Any] = vars(step.node)
    path = str(user_path(node["path"]))
    out = step.constant("path", "out", value=path) if "path" in step.wired else script.constant("out", path, of=step.id)
    quality = ""
    if Path(path).suffix.lower() != ".png":
        quality = f", quality={step.constant('quality')}"
    lines = []
    if Path(path).parent != Path():
        script.use("pathlib", "Path")
        lines.append(f"Path({out}).parent.mkdir(parents=True, exist_ok=True)")
    if pictures.count == 1:
        lines.append(f"{pictures.code}[0].save({out}{quality})")
    else:
        script.use("pathlib", "Path")
        lines += [
            f"for number, image in enumerate({pictures.code}, start=1):",
            f'    image.save(Path({out}).with_stem(f"{{Path({out}).stem}}-{{number}}"){quality})',
        ]
    script.add(*lines)
    return (None,)


def preview(step: Step) -> tuple[Pictures]:
    """Nothing to write: nobody looks at a script."""
    return (step.inputs["images"],)


SAVE_IMAGE = Emitter(save, frozenset({"path", "overwrite", "quality"}), frozenset({"images"}))
PREVIEW_IMAGE = Emitter(preview, frozenset(), frozenset({"images"}))
