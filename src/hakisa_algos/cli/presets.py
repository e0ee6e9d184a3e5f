"""Presets that are made for one env: which, and its options. Learners know nothing of envs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_JOURNEYS = ("Hakisa/PokemonEmerald-v0", "Hakisa/Monsters-v0")
_JOURNEY: Mapping[str, Any] = {"frame_skip": 24, "frame_size": [80, 120], "sticky": 0.1}

# By the name of the preset: env and options, both used where none are given.
GAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "emerald-baseline": (
        "Hakisa/PokemonEmerald-v0",
        {**_JOURNEY, "reward": "dvruette", "episode_length": 65_536},
    ),
    "monsters": (
        "Hakisa/Monsters-v0",
        {**_JOURNEY, "reward": "ours", "episode_length": 4_096, "visited_map": True, "goal": 2},
    ),
    # An attack takes 20 to 40 frames: with decisions of 12 most of them do something.
    "fighter": (
        "Hakisa/Fighter-v0",
        {"states": ["mixed.normal.left", "mixed.normal.right"], "frame_skip": 12, "frame_size": 64},
    ),
}


def preset_env(preset: str | None, env: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The env and its options: the preset's, where others are not given; its options go with its own envs only.

    ``emerald-baseline`` may be tried on Monsters, and the other way round, since both take the same options.
    """
    own, own_options = GAMES.get(preset or "", ("", {}))
    chosen = env or own
    fits = chosen == own or {chosen, own} <= {*_JOURNEYS}
    return chosen, {**(own_options if fits else {}), **options}
