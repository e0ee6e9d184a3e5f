"""The reader of numbers, and the text files that its digits are drawn in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from hakisa_envs.screen.colours import Colour, Mask, check_range, in_range
from hakisa_envs.screen.image import Pixels
from hakisa_envs.screen.region import Region


@dataclass(frozen=True)
class Digits:
    """A whole number in cells of one width, compared with pictures of the digits; leading zeros are read, too.

    Attributes:
        region: As high as a digit. Its right edge is that of the last cell, or with ``align = "left"`` its left edge
            that of the first.
        cell: Width of a cell.
        low: Least red, green, blue of a digit's pixels.
        high: Most.
        digits: Text file of the digits: a line with the digit, then a line per row, ``#`` for its pixels. It may lack
            some, such as those that nobody has seen yet; `hakisa digits` gathers them.
        different: A cell that differs from every digit in so many pixels is no digit, so there is no reading. Larger
            forgives more noise, and takes other signs for digits. While digits are missing, a cell must also be twice
            as near to one as any two of the others are to each other, or it may be one of those that are missing.
        align: The side at which the number stands still when it grows longer at the other.
        scale: How many pixels of the window a dot of the pictures is wide and high.
    """

    region: Region
    cell: int
    low: Colour
    high: Colour
    digits: Path
    different: int = 10
    align: Literal["right", "left"] = "right"
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_range(self.low, self.high)
        height, width = self.region.height, self.cell
        if not 1 <= width <= self.region.width:
            raise ValueError(f"cell={width} must be at least 1 and at most the region's width, {self.region.width}")
        if not 1 <= self.different <= width * height:
            raise ValueError(
                f"different = {self.different} must be at least 1 and at most a cell's {width * height} pixels"
            )
        if not 1 <= self.scale <= 64:
            raise ValueError(f"scale = {self.scale:g} must be at least 1 and at most 64")
        for digit, picture in self._pictures.items():
            if picture.shape != (height, width):
                times = "" if self.scale == 1 else f" with scale = {self.scale:g}"
                raise ValueError(
                    f"digits: {self.digits}{times} draws {digit} {picture.shape[1]} wide and {picture.shape[0]} high, "
                    f"but a cell is {width} wide and {height} high, in pixels of the window"
                )

    def read(self, pixels: Pixels) -> float | None:
        """The number; None if there is none or a cell is no digit."""
        known, limit, _ = self._compared
        number, place, found = 0, 1, False
        for cell in self.cells(pixels):
            differences = (self._stack != cell).sum(axis=(1, 2))
            least = differences.min(initial=limit)
            nearest = np.flatnonzero(differences == least)
            if least >= limit or len(nearest) != 1:
                return None
            digit, found = known[nearest[0]], True
            if self.align == "right":
                number, place = number + place * digit, place * 10
            else:
                number = 10 * number + digit
        return float(number) if found else None

    def cells(self, pixels: Pixels) -> list[Mask]:
        """The cells that are not empty, from the side that stands still on, up to the first that is."""
        mask = in_range(self.region.of(pixels), self.low, self.high)
        width, found = self.cell, []
        last = mask.shape[1] - width
        for left in range(last, -1, -width) if self.align == "right" else range(0, last + 1, width):
            cell = mask[:, left : left + width]
            if not cell.any():
                break
            found.append(cell)
        return found

    def unknown(self, pixels: Pixels) -> list[tuple[int, Mask, str]]:
        """The cells that fit no digit: their number in the order of `cells`, from 1; their picture; and why not."""
        known, limit, why_limit = self._compared
        found = []
        for number, cell in enumerate(self.cells(pixels), 1):
            differences = (self._stack != cell).sum(axis=(1, 2))
            least = int(differences.min(initial=cell.size))
            near = [known[index] for index in np.flatnonzero(differences == least)]
            if least >= limit:
                what = (
                    f"the nearest is {near[0]}, which differs in {least} pixels" if near else "there are no digits yet"
                )
                found.append((number, cell, f"fits none: {what} ({why_limit})"))
            elif len(near) > 1:
                found.append((number, cell, f"is as near to {near[0]} as to {near[1]}: each differs in {least} pixels"))
        return found

    def explain(self, pixels: Pixels) -> str:
        """What is to be seen, cell by cell, and how far it is from the tolerance."""
        cells, side = self.cells(pixels), f"from the {self.align}"
        if not cells:
            return f"the first cell {side} has no pixel with the colours {list(self.low)} to {list(self.high)}"
        if unknown := self.unknown(pixels):
            return "; ".join(f"cell {number} {side} {why}" for number, _, why in unknown)
        most = max(int((self._stack != cell).sum(axis=(1, 2)).min()) for cell in cells)
        return (
            f"{len(cells)} cells {side}, of which none differs from its digit in more than {most} pixels "
            f"({self._compared[2]})"
        )

    @property
    def missing(self) -> list[int]:
        """The digits that are not drawn yet."""
        return sorted(set(range(10)) - self._pictures.keys())

    @cached_property
    def _pictures(self) -> dict[int, Mask]:
        return {digit: enlarge(picture, self.scale) for digit, picture in load_digits(self.digits).items()}

    @cached_property
    def _stack(self) -> Mask:
        shape = (len(self._pictures), self.region.height, self.cell)
        return np.array(list(self._pictures.values()), np.bool_).reshape(shape)

    @cached_property
    def _compared(self) -> tuple[list[int], int, str]:
        """The digits in the order of `_stack`, in how many pixels a cell may not differ, and why that is so."""
        known = list(self._pictures)
        if not self.missing or not known:
            return known, self.different, f"different = {self.different}"
        pairs = [int((one != other).sum()) for one, other in combinations(self._pictures.values(), 2)]
        half = max(1, min(pairs, default=int(self._stack.sum()) // 2) // 2)
        if half >= self.different:
            return known, self.different, f"different = {self.different}"
        return known, half, f"at most {half - 1} are allowed while {', '.join(map(str, self.missing))} are missing"


def enlarge(picture: Mask, scale: float) -> Mask:
    """A picture whose dots are ``scale`` pixels wide and high."""
    rows, columns = ((np.arange(round(side * scale)) / scale).astype(int) for side in picture.shape)
    enlarged: Mask = picture[rows][:, columns]
    return enlarged


def load_digits(path: Path) -> dict[int, Mask]:
    """Read pictures of digits from a text file.

    Raises:
        ValueError: If it holds anything else, or pictures that cannot be told apart.
    """
    drawn: dict[int, list[str]] = {}
    rows: list[str] | None = None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"digits: {path} is no text file of digits: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if len(word) == 1 and word in "0123456789":
            if int(word) in drawn:
                raise ValueError(f"digits: {path} draws {word} twice, the second time in line {number}")
            rows = drawn[int(word)] = []
        elif word and rows is None:
            raise ValueError(f"digits: {path} begins with {word!r}, and must with a line that holds but a digit")
        elif word and rows is not None:
            rows.append(word)
    for digit, lines in drawn.items():
        if not lines or len({len(line) for line in lines}) > 1:
            raise ValueError(
                f"digits: {path} draws {digit} in rows of {[len(line) for line in lines]} dots; make them one"
            )
    pictures = {digit: np.array([[dot == "#" for dot in line] for line in lines]) for digit, lines in drawn.items()}
    for digit, picture in pictures.items():
        if not picture.any():
            raise ValueError(f"digits: {path} draws {digit} without a single '#', as a place where no digit is")
    for one, other in combinations(pictures, 2):
        if np.array_equal(pictures[one], pictures[other]):
            raise ValueError(f"digits: {path} draws {one} and {other} alike, so that neither can be read")
    return pictures


def save_digits(path: Path, pictures: Mapping[int, Mask]) -> None:
    """Write pictures of digits so that `load_digits` reads them."""
    lines = []
    for digit, picture in sorted(pictures.items()):
        lines += [str(digit), *("".join(".#"[int(dot)] for dot in row) for row in picture), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
