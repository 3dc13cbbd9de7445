"""Values made of pixels, and the files they became."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_REFERENCES = 10


@dataclass(frozen=True, eq=False)
class Image:
    """A batch of finished pictures: RGB, uint8, (N, H, W, 3). Stored as one PNG, the pictures below each other."""

    suffix: ClassVar[str] = ".png"

    pixels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[3] != 3 or 0 in shape or str(self.pixels.dtype) != "uint8":
            raise ValueError(f"pictures are uint8 (N, H, W, 3), not {self.pixels.dtype} {shape}")

    @property
    def size_bytes(self) -> int:
        """Bytes of the pixels."""
        return int(self.pixels.nbytes)

    def to_bytes(self) -> bytes:
        """The batch as a PNG that says how many pictures it holds."""
        from limner.nodes._picture_batch import batch_to_png

        return batch_to_png(self.pixels)

    @classmethod
    def from_bytes(cls, content: bytes) -> Image:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._picture_batch import batch_from_png

        return cls(batch_from_png(content))


@dataclass(frozen=True, eq=False)
class References:
    """1 to 10 reference pictures in order, each RGB uint8 (H, W, 3): "image 1" in a prompt is the first."""

    suffix: ClassVar[str] = ".safetensors"

    images: tuple[NDArray[np.uint8], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.images) <= MAX_REFERENCES:
            raise ValueError(f"1 to {MAX_REFERENCES} references, not {len(self.images)}")
        for image in self.images:
            if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or str(image.dtype) != "uint8":
                raise ValueError(f"a reference is uint8 (H, W, 3), not {image.dtype} {image.shape}")

    @property
    def size_bytes(self) -> int:
        """Bytes of the pixels."""
        return sum(int(image.nbytes) for image in self.images)

    def to_bytes(self) -> bytes:
        """The pictures as safetensors, named 0, 1, ..."""
        import torch

        from limner.nodes._flux2.storage import dump

        return dump("References", {str(i): torch.from_numpy(image) for i, image in enumerate(self.images)})

    @classmethod
    def from_bytes(cls, content: bytes) -> References:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._flux2.storage import parse_series

        return cls(tuple(image.numpy() for image in parse_series("References", content, rank=3)))


@dataclass(frozen=True, eq=False)
class Mask:
    """Which part of a picture to repaint: greys, uint8 (H, W); 255 is repainted, 0 is kept."""

    suffix: ClassVar[str] = ".png"

    values: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or 0 in self.values.shape or str(self.values.dtype) != "uint8":
            raise ValueError(f"a mask is uint8 (H, W), not {self.values.dtype} {self.values.shape}")

    def misfit(self, width: int, height: int, slack: int = 1) -> str | None:
        """What to tell the user where it has not the proportions of a picture of that size, to which it is stretched.

        The picture may have been up to ``slack`` pixels larger.
        """
        rows, columns = self.values.shape
        if columns * (height + slack) >= rows * width and columns * height <= rows * (width + slack):
            return None
        return f"the mask is {columns}x{rows}, and the picture {width}x{height}: the mask is stretched"

    @property
    def size_bytes(self) -> int:
        """Bytes of the greys."""
        return int(self.values.nbytes)

    def to_bytes(self) -> bytes:
        """The mask as a grey PNG."""
        from limner.nodes._picture_batch import batch_to_png

        return batch_to_png(self.values[None])

    @classmethod
    def from_bytes(cls, content: bytes) -> Mask:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._picture_batch import batch_from_png

        batch = batch_from_png(content, mode="L")
        if len(batch) != 1:
            raise ValueError(f"a stored mask of {len(batch)} pictures")
        return cls(batch[0])


@dataclass(frozen=True)
class Region:
    """A part of a picture, in its pixels; ``right`` and ``bottom`` lie just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size_bytes(self) -> int:
        """Bytes of four numbers."""
        return 4 * 8


@dataclass(frozen=True)
class Files:
    """Where pictures or tables were written, in order."""

    paths: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the paths."""
        return sum(len(path) for path in self.paths)
