"""Where an episode of Press stands, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from hakisa_envs.press.game import PressGame


def pack_state(targets: ArrayLike, position: int, generator: np.random.Generator | None) -> dict[str, Any]:
    """Put into plain values what `unpack_state` takes out of them."""
    return {
        "targets": np.array(targets, np.int64),
        "position": int(position),
        "generator": None if generator is None else generator.bit_generator.state,
    }


def unpack_state(
    state: Mapping[str, Any], game: PressGame
) -> tuple[NDArray[np.int64], int, np.random.Generator | None]:
    """The targets, the position in them, and the generator of later episodes.

    Raises:
        ValueError: If the episode is not one of ``game``.
    """
    targets = np.asarray(state["targets"])
    in_range = ((targets >= 0) & (targets <= game.nothing)).all()
    if len(targets) not in (1, game.episode_length + 1) or not in_range or targets[-1] != game.nothing:
        raise ValueError(
            f"The state holds {len(targets)} targets up to {targets.max()}, but this Press has episodes of "
            f"{game.episode_length} and then target {game.nothing}: make it with the options that it had then."
        )
    generator: np.random.Generator | None = None
    if state["generator"] is not None:
        generator = seeding.np_random(0)[0]
        generator.bit_generator.state = state["generator"]
    return targets, state["position"], generator
