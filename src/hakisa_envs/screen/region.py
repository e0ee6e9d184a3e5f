"""A rectangle. It needs no NumPy, whose import would be most of what an input server takes to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels; ``left`` and ``top`` may be negative."""

    left: int
    top: int
    width: int
    height: int

    def intersect(self, other: Region) -> Region | None:
        """The part that lies in both, or None if there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Region(left, top, right - left, bottom - top) if right > left and bottom > top else None

    def shifted(self, x: int, y: int) -> Region:
        """The same rectangle, moved."""
        return Region(self.left + x, self.top + y, self.width, self.height)

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A view of this part of an array ``[height, width, ...]``."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]
