"""Readers turn a picture of the game into one number, or into None: "no reading", which is never taken for 0.

Every reader is a frozen dataclass whose fields are its options in a profile::

    [reading.health]
    kind = "bar"
    region = [20, 10, 200, 8]
    low = [180, 0, 0]
    high = [255, 60, 60]

Regions are left, top, width, height in the window's client area, colours red, green, blue.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.colours import Colour, check_range, in_range
from hakisa_envs.screen.digits import Digits
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.image import BLACK, Pixels, is_black, to_rgb
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.tables import TableBuilder, nearest

Shares = NDArray[np.float64]


class Reader(Protocol):
    """Anything that reads a number off a picture.

    It is asked only while its ``region`` can be seen: all of the client area if it has no such attribute.
    """

    def read(self, pixels: Pixels) -> float | None:
        """Read a BGRA picture ``[height, width, 4]`` of the whole client area; None is "no reading"."""
        ...


def explain(reader: Reader, pixels: Pixels) -> str:
    """What a reader goes by in a picture, with the figures that its tolerances are held against; may be empty."""
    explained: str = reader.explain(pixels) if hasattr(reader, "explain") else ""
    return explained


@dataclass(frozen=True)
class Bar:
    """How full a bar is, 0 to 1: the share of its length that has the colour at its filled end without a gap.

    Attributes:
        region: The whole bar, full.
        low: Least red, green, blue of its filling.
        high: Most.
        grows: The side towards which it grows.
    """

    region: Region
    low: Colour
    high: Colour
    grows: Literal["right", "left", "up", "down"] = "right"

    def __post_init__(self) -> None:
        check_range(self.low, self.high)

    def read(self, pixels: Pixels) -> float | None:
        """The share that is filled."""
        lines = self._shares(pixels) > 0.5
        if self.grows in ("left", "up"):
            lines = lines[::-1]
        return float(np.argmin(lines) / len(lines)) if not lines.all() else 1.0

    def explain(self, pixels: Pixels) -> str:
        """How many of its lines are filled, and how well."""
        shares = self._shares(pixels)
        return f"{int((shares > 0.5).sum())} of {len(shares)} lines have the colour in more than half of their pixels"

    def _shares(self, pixels: Pixels) -> Shares:
        mask = in_range(self.region.of(pixels), self.low, self.high)
        shares: Shares = mask.mean(axis=0 if self.grows in ("right", "left") else 1)
        return shares


@dataclass(frozen=True)
class Lamps:
    """How many of some places are lit, such as pills that stand for lives.

    Attributes:
        places: Regions, one per lamp.
        lit_low: Least red, green, blue of the mean colour of a lit lamp.
        lit_high: Most.
        unlit_low: The same for one that is not lit; a lamp that is neither means "no reading".
        unlit_high: Most.
    """

    places: tuple[Region, ...]
    lit_low: Colour
    lit_high: Colour
    unlit_low: Colour
    unlit_high: Colour

    def __post_init__(self) -> None:
        if not self.places:
            raise ValueError("places = [] must name at least one lamp")
        check_range(self.lit_low, self.lit_high, "lit_{}")
        check_range(self.unlit_low, self.unlit_high, "unlit_{}")
        lows = [max(pair) for pair in zip(self.lit_low, self.unlit_low, strict=True)]
        highs = [min(pair) for pair in zip(self.lit_high, self.unlit_high, strict=True)]
        if all(low <= high for low, high in zip(lows, highs, strict=True)):
            raise ValueError(
                f"lit_low to lit_high and unlit_low to unlit_high overlap: a lamp of the colour {lows} would be both "
                "lit and not. Take them apart in red, green or blue"
            )

    def read(self, pixels: Pixels) -> float | None:
        """The number of lit lamps."""
        count = 0
        for place in self.places:
            mean = place.of(pixels).mean(axis=(0, 1), keepdims=True)
            if in_range(mean, self.lit_low, self.lit_high).all():
                count += 1
            elif not in_range(mean, self.unlit_low, self.unlit_high).all():
                return None
        return float(count)

    def explain(self, pixels: Pixels) -> str:
        """The mean colour of each lamp, to be held against lit_low to lit_high and unlit_low to unlit_high."""
        means = [place.of(pixels)[..., 2::-1].mean(axis=(0, 1)).round().astype(int).tolist() for place in self.places]
        return f"the mean colours are {', '.join(map(str, means))}"


@dataclass(frozen=True)
class Template:
    """1 if a small picture is to be seen, else 0.

    Attributes:
        picture: An image file, cut out of a screenshot.
        region: Where to look; everywhere if not given, which is slower.
        least: Normalised correlation, up to 1, from which it counts as seen. Smaller forgives more noise, and takes
            other things for it.
    """

    picture: Path
    region: Region | None = None
    least: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise ValueError(f"least = {self.least} must be more than 0 and at most 1")
        height, width = self._template.shape[:2]
        if self.region and (self.region.height < height or self.region.width < width):
            raise ValueError(f"region is smaller than the picture, {width} x {height}")

    def read(self, pixels: Pixels) -> float | None:
        """Whether it is there; None if the picture is smaller than it."""
        found = self._correlation(pixels)
        return None if found is None else float(found >= self.least)

    def explain(self, pixels: Pixels) -> str:
        """How like it is the place that is most like it."""
        return f"the best correlation is {self._correlation(pixels) or 0.0:.3f} (least = {self.least:g})"

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the small picture."""
        height, width = self._template.shape[:2]
        return width, height

    def looks_for_the_same_as(self, other: Template) -> bool:
        """Whether both look for one picture in one place."""
        same = self.region == other.region and self.least == other.least
        return same and np.array_equal(self._template, other._template)

    def _correlation(self, pixels: Pixels) -> float | None:
        cv2 = import_extra("cv2", extra="screen", needed_by="the reader 'template'")
        place = pixels if self.region is None else self.region.of(pixels)
        template = self._template
        if place.shape[0] < template.shape[0] or place.shape[1] < template.shape[1]:
            return None
        found = cv2.matchTemplate(np.ascontiguousarray(place[..., :3]), template, cv2.TM_CCOEFF_NORMED)
        # A place of one colour divides by zero: OpenCV gives 1 or infinity there, and NaN elsewhere.
        found = np.where(np.isfinite(found) & (found <= 1.0001), found, 0)
        return float(found.max())

    @cached_property
    def _template(self) -> Pixels:
        cv2 = import_extra("cv2", extra="screen", needed_by="the reader 'template'")
        template: Pixels | None = cv2.imread(str(self.picture), cv2.IMREAD_COLOR)
        if template is None:
            raise ValueError(f"picture={str(self.picture)!r} is no image that OpenCV can read")
        if template.min() == template.max():
            raise ValueError(f"picture={str(self.picture)!r} is of one colour: it can be told from nothing")
        return template


@dataclass(frozen=True)
class ColourShare:
    """Which share of a region has a colour, 0 to 1.

    Attributes:
        region: Where to look.
        low: Least red, green, blue.
        high: Most.
    """

    region: Region
    low: Colour
    high: Colour

    def __post_init__(self) -> None:
        check_range(self.low, self.high)

    def read(self, pixels: Pixels) -> float | None:
        """The share."""
        return float(in_range(self.region.of(pixels), self.low, self.high).mean())


@dataclass(frozen=True)
class Brightness:
    """The mean over all pixels and colours of a region, 0 to 255.

    Attributes:
        region: Where to look; everywhere if not given.
        every: Look at each n-th pixel of each n-th row only.
    """

    region: Region | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every = {self.every} must be at least 1")

    def read(self, pixels: Pixels) -> float | None:
        """The mean."""
        place = pixels if self.region is None else self.region.of(pixels)
        return float(place[:: self.every, :: self.every, :3].mean())


@dataclass(frozen=True)
class Black:
    """1 if a region is black, else 0.

    Attributes:
        region: Where to look; everywhere if not given.
    """

    region: Region | None = None

    def read(self, pixels: Pixels) -> float | None:
        """Whether it is black."""
        return float(is_black(pixels if self.region is None else self.region.of(pixels)))

    def explain(self, pixels: Pixels) -> str:
        """The brightest that there is."""
        place = pixels if self.region is None else self.region.of(pixels)
        return f"the brightest red, green or blue is {int(place[..., :3].max(initial=0))} (black is at most {BLACK})"


@dataclass
class Frozen:
    """For how many readings in a row a region has not changed.

    Attributes:
        region: Where to look; everywhere if not given.
    """

    region: Region | None = None
    _last: Pixels | None = field(default=None, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def read(self, pixels: Pixels) -> float | None:
        """The count; 0 for a picture that differs from the last."""
        place = pixels if self.region is None else self.region.of(pixels)
        same = self._last is not None and np.array_equal(place, self._last)
        self._count = self._count + 1 if same else 0
        self._last = place.copy()
        return float(self._count)


@dataclass(frozen=True)
class PythonReader:
    """A function of your own: ``(RGB uint8 [height, width, 3]) -> float or None``.

    Attributes:
        function: ``"module:function"``; the module is imported when the profile is loaded.
        folder: Where the module is looked for before all other places; in a profile: relative to the profile's folder,
            and that folder by default. A module found there is this profile's alone: another profile's of the same name
            is another one. What it imports itself is looked for as always, so not there, unless it is a package.
    """

    function: str
    folder: str = ""

    def __post_init__(self) -> None:
        _ = self._callable

    def __reduce__(self) -> tuple[type[PythonReader], tuple[str, str]]:
        # Made anew in another process, which may not find the module before it knows the folder.
        return PythonReader, (self.function, self.folder)

    def read(self, pixels: Pixels) -> float | None:
        """What it returns."""
        value = self._callable(to_rgb(pixels))
        return None if value is None else float(value)

    @cached_property
    def _callable(self) -> Callable[[Pixels], float | None]:
        module, _, name = self.function.partition(":")
        try:
            function = getattr(_import(module, self.folder), name)
        except Exception as error:  # the module may raise anything
            raise ValueError(f"function = {self.function!r} must be 'module:function': {error!r}") from error
        if not callable(function):
            raise ValueError(f"function = {self.function!r} is not callable")
        result: Callable[[Pixels], float | None] = function
        return result


def _import(module: str, folder: str) -> types.ModuleType:
    """The module in a file or package below ``folder``, else the one that Python finds by itself."""
    path = Path(folder, *module.split("."))
    file = next((file for file in (path.with_suffix(".py"), path / "__init__.py") if folder and file.is_file()), None)
    if file is None:
        return importlib.import_module(module)
    # By its path, or two profiles that each have a score.py would share the first one's.
    name = f"hakisa_reader_{hashlib.sha256(bytes(file.resolve())).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None  # noqa: PT018
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


READERS: dict[str, type[Any]] = {
    "digits": Digits,
    "bar": Bar,
    "lamps": Lamps,
    "template": Template,
    "colour": ColourShare,
    "brightness": Brightness,
    "black": Black,
    "frozen": Frozen,
    "python": PythonReader,
}


def make_reader(kind: str, options: Mapping[str, Any], builder: TableBuilder, where: str) -> Reader:
    """Make a reader from a profile's table.

    Raises:
        ProfileError: If there is no such kind, or an option is unknown, missing or wrong.
    """
    if kind not in READERS:
        raise builder.error(
            f"{where}.kind", kind, f"is no reader{nearest(kind, READERS)}", f"There are {', '.join(READERS)}."
        )
    if kind == "python":
        folder = builder.value(options.get("folder", ""), str, f"{where}.folder")
        options = {**options, "folder": str(builder.path.parent.absolute() / folder)}
    try:
        reader: Reader = builder.table(dict(options), READERS[kind], where)
    except ProfileError:
        raise
    except ValueError as error:
        raise builder.error(where, None, f"is wrong: {error}", "") from error
    return reader
