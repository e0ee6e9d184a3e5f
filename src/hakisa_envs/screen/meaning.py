"""What the actions and pictures of a live game mean: what must be the same for play of one to be of use in another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hakisa_envs.screen.actions import BUTTON_COMMANDS, CLICKS, KEY_COMMANDS, PLACE_COMMANDS

if TYPE_CHECKING:
    from hakisa_envs.screen.game import GameProfile

# Which commands each field of a profile's actions matters to.
_MATTERS_TO: dict[str, tuple[str, ...]] = {
    "keys": KEY_COMMANDS,
    "buttons": BUTTON_COMMANDS,
    "grid": PLACE_COMMANDS,
    "steps": ("move_by",),
    "raw_motion": ("move_by",),
    "tap_ms": ("tap", "button_tap", *CLICKS),
}


def meaning(profile: GameProfile, rate: float) -> dict[str, Any]:
    """What actions and pictures mean, as JSON; a part that is known only once the window is there is left out.

    Args:
        profile: Of the game.
        rate: Steps per second.
    """
    shown, size = profile.observation, profile.window.size
    region = dataclasses.astuple(shown.region) if shown.region else (0, 0, *size) if size else None
    said = {**meaning_of_actions(dataclasses.asdict(profile.actions)), "rate": float(rate)}
    if region is not None:
        said["region"] = list(region)
    return {**said, "size": list(shown.size), "grey": shown.grey, "stack": shown.stack}


def meaning_of_actions(actions: Mapping[str, Any]) -> dict[str, Any]:
    """The part of it that the fields of `hakisa_envs.screen.game.Actions` say, those without any use left out."""
    used = [name for name, users in _MATTERS_TO.items() if name in actions and set(users) & {*actions["commands"]}]
    return {name: _plain(actions[name]) for name in ("commands", *used)}


def _plain(value: Any) -> Any:
    """JSON has no tuples."""
    return list(value) if isinstance(value, tuple | list) else value
