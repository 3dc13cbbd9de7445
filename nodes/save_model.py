"""Components as a model folder, for the next time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.node import Node
from limner.engine.user_path import user_path
from limner.nodes._new_folder import new_folder
from limner.nodes.specs import Flux2Spec
from limner.nodes.values import VAE, Files, TextEncoder, Transformer


class SaveModel(Node):
    """Write components to a folder that LoadModel reads, so that what was quantized once loads in seconds.

    What is wired is saved, in the precision that it has: plain weights, and nf4, fp4 and int8 of bitsandbytes. Read
    again it is the same to the bit. The text encoder is saved with the layers that are read. A folder that lacks a
    component gives the others. It is written whole or not at all, and none is replaced without being asked.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("ModelSave", "CheckpointSave", "export weights")
    advanced: ClassVar[frozenset[str]] = frozenset({"overwrite"})
    on_device: ClassVar[bool] = True
    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str = Field(min_length=1, description="The folder to write. It must not exist.")
    overwrite: bool = Field(default=False, description="Replace a model folder of this name.")

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A name that is taken, or nothing to save."""
        try:
            path = user_path(self.path)
        except InputError as error:
            yield "path", error.message
            return
        if path.exists() and not self.overwrite:
            yield "path", f"{self.path} exists (choose another name, or set overwrite)"
        elif path.exists() and not (path / "model_index.json").is_file():
            yield "path", f"{self.path} is no model folder, and only such a folder is replaced"

    def run(
        self,
        ctx: Context,
        transformer: Transformer | None = None,
        text_encoder: TextEncoder | None = None,
        vae: VAE | None = None,
    ) -> Files:
        """Load and write one component after the other. Raises InputError where the disk does not take them."""
        from limner.nodes._flux2 import save

        specs: list[Flux2Spec[Any]] = [spec for spec in (transformer, text_encoder, vae) if spec is not None]
        save.check(specs)
        for _, fault in self.problems():  # the folder may have come since the graph was checked
            raise InputError(fault)
        path = user_path(self.path)
        try:
            with new_folder(path, overwrite=self.overwrite) as folder:
                for number, spec in enumerate(specs):
                    ctx.progress(number, len(specs))
                    with ctx.hold(spec) as live:
                        save.save_component(live, spec, folder)
                save.save_index(specs, folder)
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror or error}") from error
        ctx.progress(len(specs), len(specs))
        return Files((str(path),))
