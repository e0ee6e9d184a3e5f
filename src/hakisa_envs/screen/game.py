"""Everything that is particular to one game, as data. `hakisa_envs.screen.profile` reads it from TOML."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.readers import Reader
from hakisa_envs.screen.region import Region

Command = Literal[
    "noop",
    "tap",
    "hold",
    "hold_only",
    "release",
    "release_all",
    "move",
    "left_click",
    "right_click",
    "button_tap",
    "button_hold",
    "button_release",
    "move_by",
    "wheel",
]


GAME_FOLDERS = ("/usr/games", "/usr/local/games")  # where distributions put games; root's PATH lacks them


def fill(word: str, folder: Path) -> str:
    """Put this Python for ``{python}``, and the profile's folder for ``{profile}``."""
    return word.replace("{python}", sys.executable).replace("{profile}", str(folder))


def resolve_path(word: str, folder: Path) -> Path:
    """What a path in a profile stands for: relative to the profile's folder, and ``~`` is the user's home."""
    return folder / Path(fill(word, folder)).expanduser()


@dataclass(frozen=True)
class Launch:
    """How the game is started. With an empty ``command`` it is not: its window must be there already.

    Attributes:
        command: Program and arguments. ``{python}`` is this Python, ``{profile}`` the profile's folder, where a program
            such as ``./game`` is looked for too.
        search: Folders in which the program is looked for after PATH, relative to the profile's folder; after these
            come ``/usr/games`` and ``/usr/local/games``.
        environment: Variables to set; ``{python}`` and ``{profile}`` are as in a command. HOME, unless given, is an
            empty folder of the game's own. DISPLAY is the game's display, and cannot be given.
        files: Files to write before the start, path below that HOME -> content (written as Latin-1). Absolute paths and
            ``..`` are refused.
        folder: Where it runs, for games that look for their data there; relative to the profile's folder. Default:
            that HOME.
        seeded_by_clock: Its chance begins from the second in which it is started. Displays then start it one after
            the other, because those that start together would play the same games.
    """

    command: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    seeded_by_clock: bool = False


@dataclass(frozen=True)
class Window:
    """Which window is the game's.

    Attributes:
        title: Regular expression that is searched for in its title.
        size: Width and height that its client area must have; any if not given.
        timeout: Seconds it may take to appear.
    """

    title: str
    size: tuple[int, int] | None = None
    timeout: float = 30.0


@dataclass(frozen=True)
class Screen:
    """The X display that is started for the game.

    Attributes:
        size: Its width and height. Default: those of the window if it has a given size, else 1280 x 720.
        window_manager: Program to run in it, such as ``"openbox"``; most games need none. A path is relative to the
            profile's folder.
    """

    size: tuple[int, int] | None = None
    window_manager: str = ""


@dataclass(frozen=True)
class Observation:
    """What the agent sees.

    Attributes:
        region: Left, top, width, height inside the client area; all of it if not given.
        size: Width and height that this is shrunk to.
        grey: Grey, or RGB.
        stack: How many frames make an observation, oldest first.
    """

    region: Region | None = None
    size: tuple[int, int] = (84, 84)
    grey: bool = True
    stack: int = 4


@dataclass(frozen=True)
class Actions:
    """What the agent can do.

    Attributes:
        commands: Those it may choose from, in the order of the first head. Default: only to look.
        keys: Keys for tap, hold, hold_only and release, by their X names.
        buttons: Mouse buttons for button_tap, button_hold and button_release.
        grid: Columns and rows of places for move and clicks over what the agent sees; one per pixel is allowed.
        steps: Distances in pixels for move_by, in each direction.
        rate: Steps per second.
        tap_ms: How long a tap lasts.
        raw_motion: In a recording of a person's play, move_by is how far the mouse was moved, as games that read raw
            motion see it; not how far the pointer was, which the desktop accelerates.
    """

    commands: tuple[Command, ...] = ("noop",)
    keys: tuple[str, ...] = ()
    buttons: tuple[Literal["left", "middle", "right"], ...] = ("left", "right")
    grid: tuple[int, int] = (32, 18)
    steps: tuple[int, ...] = (-64, -16, -4, 0, 4, 16, 64)
    rate: float = 30.0
    tap_ms: float = 50.0
    raw_motion: bool = False


@dataclass(frozen=True)
class Reading:
    """A number to be read from the screen.

    Attributes:
        name: What conditions and rewards call it.
        reader: What reads it.
    """

    name: str
    reader: Reader


@dataclass(frozen=True)
class Reward:
    """A part of the reward.

    Attributes:
        reading: Where it comes from.
        weight: What it is multiplied with.
        on: Pay each step's ``"value"``, its ``"change"``, only its ``"rise"`` or only its ``"fall"`` (as a
            positive number). Changes are against the last step that had a reading.
        most: A larger change in one step is taken for a misreading.
        when: Pay only in steps in which this holds; in all if not given.
    """

    reading: str
    weight: float = 1.0
    on: Literal["value", "change", "rise", "fall"] = "change"
    most: float = float("inf")
    when: Condition | None = None


@dataclass(frozen=True)
class End:
    """What ends an episode (terminated).

    Attributes:
        when: The condition.
        steps: For how many steps in a row it must hold.
        episode: Only in episodes of this sort; in all if not given.
        outcome: How an episode that ends so has gone, for rates of wins (`hakisa_envs.contract`); if not given, it is
            not said.
    """

    when: Condition
    steps: int = 1
    episode: str = ""
    outcome: Literal["win", "loss", "draw", ""] = ""


@dataclass(frozen=True)
class Step:
    """A step of a script.

    Attributes:
        do: ``"press"`` a key, ``"type"`` a text, ``"click"`` at a place, ``"move"`` the pointer, ``"wait"`` some
            seconds, or only ``"look"``.
        key: Key to press; ``"Control_L+s"`` holds the first ones down meanwhile.
        text: What to type, on whatever layout the display has; ``"\\n"`` is Return.
        place: Where to click or move to, inside the client area.
        by: How far to move the mouse from where it is, to the right and down.
        button: With what to click.
        hold_ms: How long a press or click lasts.
        seconds: How long to wait.
        when: Skip the step unless this holds.
        until: After the deed, wait for this.
        timeout: Seconds to wait for it.
        again: Seconds after which the deed is done again while ``until`` does not hold; 0: never.
        episode: Only before episodes of this sort; before all if not given.
    """

    do: Literal["press", "type", "click", "move", "wait", "look"]
    key: str = ""
    text: str = ""
    place: tuple[int, int] | None = None
    by: tuple[int, int] | None = None
    button: Literal["left", "middle", "right"] = "left"
    hold_ms: float = 60.0
    seconds: float = 0.0
    when: Condition | None = None
    until: Condition | None = None
    timeout: float = 5.0
    again: float = 0.0
    episode: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of ``key``, each by itself."""
        return tuple(key.strip() for key in self.key.split("+")) if self.key else ()


@dataclass(frozen=True)
class Pause:
    """What happens while the trainer updates.

    Attributes:
        how: ``"stop"`` stops the game's processes, ``"key"`` presses ``key``, ``"none"`` lets it play on.
        key: The game's own pause key; pressed again to go on.
        until: What holds while the game is paused. It is then pressed again where the game has not heard it, and a
            game that does not pause plays on; without it, that the key was pressed is all that is known.
    """

    how: Literal["stop", "key", "none"] = "none"
    key: str = ""
    until: Condition | None = None


@dataclass(frozen=True)
class ProbeTarget:
    """Something that a key changes on the screen at once, for `hakisa probe` to time.

    Attributes:
        key: The key. It is pressed some fifty times, a few hundredths of a second apart.
        reading: What it changes.
        change: By how much at least, up or down.
    """

    key: str
    reading: str
    change: float


@dataclass(frozen=True)
class GameProfile:
    """A game.

    Attributes:
        name: Its name.
        folder: Where its templates lie: the folder of its TOML file, absolute.
        episodes: The sorts of episodes that it has, the default first; empty if there is but one.
        start: Script after a launch.
        reset: Script before every episode.
        probe: What to measure the time from a press to its picture with; None if the game has nothing for that.
    """

    name: str
    folder: Path
    window: Window
    launch: Launch = Launch()
    screen: Screen = Screen()
    observation: Observation = Observation()
    actions: Actions = Actions()
    readings: tuple[Reading, ...] = ()
    rewards: tuple[Reward, ...] = ()
    ends: tuple[End, ...] = ()
    episodes: tuple[str, ...] = ()
    start: tuple[Step, ...] = ()
    reset: tuple[Step, ...] = ()
    pause: Pause = Pause()
    probe: ProbeTarget | None = None

    @property
    def screen_size(self) -> tuple[int, int]:
        """Width and height of a display that is started for it."""
        return self.screen.size or self.window.size or (1280, 720)

    def key_fields(self) -> Iterator[tuple[str, str]]:
        """Every key that may be pressed, with the field that it stands in."""
        yield from ((f"actions.keys[{i}]", key) for i, key in enumerate(self.actions.keys))
        for name, script in (("start", self.start), ("reset", self.reset)):
            yield from ((f"{name}[{i}].key", key) for i, step in enumerate(script) for key in step.keys)
        if self.pause.key:
            yield "pause.key", self.pause.key
        if self.probe is not None:
            yield "probe.key", self.probe.key

    def text_fields(self) -> Iterator[tuple[str, str]]:
        """Every character that a script types, with the field that it stands in."""
        for name, script in (("start", self.start), ("reset", self.reset)):
            yield from ((f"{name}[{i}].text", character) for i, step in enumerate(script) for character in step.text)

    def outside(self, width: int, height: int) -> tuple[str, list[int]] | None:
        """What does not lie in a client area of this size: its field and its numbers; None if all does."""
        area = Region(0, 0, width, height)
        for where, region in self.region_fields():
            if region.intersect(area) != region:
                return where, [region.left, region.top, region.width, region.height]
        for name, script in (("start", self.start), ("reset", self.reset)):
            for i, step in enumerate(script):
                if step.place and Region(*step.place, 1, 1).intersect(area) is None:
                    return f"{name}[{i}].place", list(step.place)
        for reading in self.readings:
            picture = getattr(reading.reader, "picture_size", None)
            if picture and (picture[0] > width or picture[1] > height):
                return f"reading.{reading.name}.picture, of {picture[0]} x {picture[1]} pixels,", list(picture)
        return None

    def region_fields(self) -> Iterator[tuple[str, Region]]:
        """Every part of the client area that is looked at, with the field that it stands in."""
        if self.observation.region is not None:
            yield "observation.region", self.observation.region
        for reading in self.readings:
            region = getattr(reading.reader, "region", None)
            if region is not None:
                yield f"reading.{reading.name}.region", region
            for i, place in enumerate(getattr(reading.reader, "places", ())):
                yield f"reading.{reading.name}.places[{i}]", place
