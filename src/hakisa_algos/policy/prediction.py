"""What a policy does where somebody else steps the env: one observation at a time, or a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.masks import MaskForm
from hakisa_algos.policy.observations import keyed, map_observation, to_tensors
from hakisa_algos.policy.policy import Policy, State, acting


def predict(
    policy: Policy,
    action_space: spaces.Space[Any],
    device: torch.device,
    observation: Any,
    state: State | None = None,
    episode_start: np.ndarray | None = None,
    deterministic: bool = True,
    action_mask: Any = None,
) -> tuple[Any, State]:
    """See :meth:`hakisa_algos.agent.Agent.predict`."""
    layout = policy.observation
    batched = layout.is_batch(observation)
    if not batched:
        observation = map_observation(lambda x: np.asarray(x)[None], observation)
    n = len(next(iter(keyed(observation).values())))
    mask = None
    if action_mask is not None:
        mask = MaskForm(action_space).given(action_mask if batched else [action_mask], n)
    start = np.full(n, state is None) if episode_start is None else np.atleast_1d(episode_start)
    if start.shape != (n,):
        raise ConfigError(f"episode_start has shape {start.shape} for {n} observations; give one for each")
    fresh = policy.initial_state(n)
    if state is None:
        state = fresh
    else:
        _check_state(state, fresh, n)
    if start.any():
        state = policy.begin(torch.from_numpy(start.astype(bool)).to(device), state)
    with acting(policy):
        decision = policy.act(to_tensors(layout.encode(observation, mask), device), state, not deterministic, None)
    action = decision.action.cpu().numpy()
    return (action if batched else action[0]), decision.state


def _check_state(state: State, fresh: State, n: int) -> None:
    expected = {name: tuple(entries.shape) for name, entries in fresh.items()}
    found: Any = type(state).__name__
    if isinstance(state, Mapping):
        found = {name: _shape(entries) for name, entries in state.items()}
    if found != expected:
        raise ConfigError(
            f"state {found} does not go with {n} observations, whose state is {expected}: pass what the call before "
            "returned, or None where all episodes begin"
        )


def _shape(entries: Any) -> tuple[int, ...] | str:
    return tuple(entries.shape) if isinstance(entries, torch.Tensor) else type(entries).__name__
