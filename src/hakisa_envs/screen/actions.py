"""From an action of three heads to what is pressed, and to words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import TYPED, keysym
from hakisa_envs.spaces import ConditionalMultiDiscrete

if TYPE_CHECKING:
    from hakisa_envs.screen.game import GameProfile
    from hakisa_envs.screen.region import Region

BUTTON = {"left": "button1", "middle": "button2", "right": "button3"}
CLICKS = {"left_click": "left", "right_click": "right"}
KEY_COMMANDS = ("tap", "hold", "hold_only", "release")
BUTTON_COMMANDS = ("button_tap", "button_hold", "button_release")
PLACE_COMMANDS = ("move", *CLICKS)


def argument_names(actions: Any) -> dict[str, list[str]]:
    """By command, what its arguments choose among, in order; none for places and for commands without arguments.

    Args:
        actions: Those of a profile, or anything else with its ``commands``, ``keys``, ``buttons`` and ``steps``.
    """
    names: dict[str, list[str]] = {}
    for command in actions.commands:
        if command in KEY_COMMANDS:
            names[command] = list(actions.keys)
        elif command in BUTTON_COMMANDS:
            names[command] = list(actions.buttons)
        elif command == "move_by":
            names[command] = [str(step) for step in actions.steps]
        elif command == "wheel":
            names[command] = ["down", "up"]
    return names


class ActionMap:
    """What each action ``(command, argument 1, argument 2)`` of a profile means.

    Attributes:
        space: A `ConditionalMultiDiscrete`.
        names: Every key and button that may be pressed, by scripts and the probe too.

    Raises:
        ValueError: If a key is unknown or must not be pressed, or the commands need keys, buttons, steps or a grid that
            the profile does not give. The message begins with the field.
    """

    def __init__(self, profile: GameProfile) -> None:
        self.actions = actions = profile.actions
        commands = list(actions.commands)
        if not commands or len(set(commands)) < len(commands):
            raise ValueError(f"actions.commands = {commands} must name at least one command, and none twice.")
        if actions.keys and not set(commands) & set(KEY_COMMANDS):
            raise ValueError(
                f"actions.keys = {list(actions.keys)} are pressed by none of the commands {commands}; add one of "
                f"{', '.join(KEY_COMMANDS)}."
            )
        size = profile.window.size
        if min(actions.grid) < 1 or (size and (actions.grid[0] > size[0] or actions.grid[1] > size[1])):
            raise ValueError(f"actions.grid = {list(actions.grid)} must be at least 1, at most one place per pixel.")
        self.sizes = [self._sizes(command) for command in actions.commands]
        counts = np.maximum(np.max(self.sizes, axis=0), 1)
        self.space = ConditionalMultiDiscrete([len(actions.commands), *counts.tolist()], self.sizes)
        for where, key in profile.key_fields():
            try:
                keysym(key)
            except InputError as error:
                raise ValueError(f"{where} = {key!r}: {error}") from error
        typed = {TYPED + character for _, character in profile.text_fields()}
        self.names = sorted({key for _, key in profile.key_fields()} | set(BUTTON.values()) | typed)

    def _sizes(self, command: str) -> tuple[int, int]:
        actions = self.actions
        if command in KEY_COMMANDS:
            choices = (len(actions.keys), 0)
        elif command in BUTTON_COMMANDS:
            choices = (len(actions.buttons), 0)
        elif command == "move_by":
            choices = (len(actions.steps), len(actions.steps))
        elif command == "wheel":
            choices = (2, 0)
        else:
            return actions.grid if command in PLACE_COMMANDS else (0, 0)
        if choices[0] == 0:
            needs = "keys" if command in KEY_COMMANDS else "buttons" if command in BUTTON_COMMANDS else "steps"
            raise ValueError(f"actions.commands: {command!r} needs {needs}, but actions.{needs} = [] lists none.")
        return choices

    def commands(self, action: ArrayLike, area: Region) -> list[tuple[Any, ...]]:
        """What to ask the input server for.

        Args:
            action: int ``[3]``; any point of the space, see `ConditionalMultiDiscrete.canonical`.
            area: What the agent sees, in pixels of the client area; the grid lies over it.
        """
        chosen, first, second = self.space.canonical(action).tolist()
        command = self.actions.commands[chosen]
        if command == "noop":
            return []
        if command == "release_all":
            return [("release", name) for name in (*self.actions.keys, *map(BUTTON.get, self.actions.buttons))]
        if command in KEY_COMMANDS:
            key = self.actions.keys[first]
            if command == "hold_only":
                return [("release", other) for other in self.actions.keys if other != key] + [("hold", key)]
            return [("tap", key, self.actions.tap_ms)] if command == "tap" else [(command, key)]
        if command in BUTTON_COMMANDS:
            button, verb = BUTTON[self.actions.buttons[first]], command.removeprefix("button_")
            return [("tap", button, self.actions.tap_ms)] if verb == "tap" else [(verb, button)]
        if command == "move_by":
            return [("move_by", self.actions.steps[first], self.actions.steps[second])]
        if command == "wheel":
            return [("wheel", 1 if first else -1)]
        move = ("move", *self.place(first, second, area))
        if command == "move":
            return [move]
        return [move, ("tap", BUTTON[CLICKS[command]], self.actions.tap_ms)]

    def place(self, column: int, row: int, area: Region) -> tuple[int, int]:
        """The pixel in the middle of a cell of the grid; with one place per pixel, that pixel."""
        columns, rows = self.actions.grid
        return (
            area.left + (2 * column + 1) * area.width // (2 * columns),
            area.top + (2 * row + 1) * area.height // (2 * rows),
        )

    def describe(self, action: ArrayLike, area: Region) -> str:
        """Say what an action does."""
        chosen, first, _ = self.space.canonical(action).tolist()
        if self.actions.commands[chosen] == "release_all":
            return "let go of everything"
        if self.actions.commands[chosen] == "hold_only":
            return f"hold {self.actions.keys[first]} down and no other key"
        words: dict[str, Callable[..., str]] = {
            "tap": lambda name, ms: f"press {name} for {ms:g} ms",
            "hold": lambda name: f"hold {name} down",
            "release": lambda name: f"release {name}",
            "move": lambda x, y: f"move the pointer to ({x}, {y})",
            "move_by": lambda x, y: f"move the mouse by ({x}, {y})",
            "wheel": lambda notches: "turn the wheel up" if notches > 0 else "turn the wheel down",
        }
        buttons = {"button1": "the left button", "button2": "the middle button", "button3": "the right button"}
        parts = []
        for verb, *arguments in self.commands(action, area):
            named = [
                buttons.get(argument, argument) if isinstance(argument, str) else argument for argument in arguments
            ]
            parts.append(words[verb](*named))
        return ", then ".join(parts) or "do nothing"
