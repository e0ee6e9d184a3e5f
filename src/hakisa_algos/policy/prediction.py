"""What a policy does where somebody else steps the env: one observation at a time, or a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces

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
    if state is None:
        state = policy.initial_state(n)
        episode_start = np.ones(n, bool) if episode_start is None else episode_start
    if episode_start is not None and np.any(episode_start):
        state = policy.begin(torch.as_tensor(np.atleast_1d(episode_start)), state)
    with acting(policy):
        decision = policy.act(to_tensors(layout.encode(observation, mask), device), state, not deterministic, None)
    action = decision.action.cpu().numpy()
    return (action if batched else action[0]), decision.state
