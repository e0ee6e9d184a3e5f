"""The least time that training could take: bare forwards and bare gradient steps, and nothing between them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hakisa_algos.policy.observations import map_observation
from hakisa_algos.policy.precision import weights_cast_once


def bare_forward(policy: Any, observation: Any) -> Callable[[], Any]:
    """What acting asks of the network, of an actor-critic or a Q-network; use it under ``weights_cast_once``.

    Args:
        policy: whose network it is.
        observation: of all envs, each tensor ``[num_envs, ...]``, on the policy's device.
    """
    # An actor-critic of small networks judges later, once per rollout: then acting asks for the logits alone.
    if getattr(policy, "values_later", False):
        return torch.no_grad()(lambda: policy._small.logits(policy._normalized(observation)))
    return torch.no_grad()(lambda: policy(observation))


def bare_loss(learner: Any, observation: Any) -> Tensor:
    """As cheap a loss as asks every network that a gradient step asks."""
    found = learner.policy(observation)
    if isinstance(found, tuple):  # of an actor-critic
        distribution, value = found
        loss: Tensor = distribution.log_prob(distribution.mode()).mean() + value.square().mean()
        return loss
    target: Any = 0.0
    if hasattr(learner, "target"):
        with torch.no_grad():
            following = learner.target(observation)
            chooser = learner.policy(observation) if learner.config.double else following
            target = following.of(chooser.greedy())
    loss = (found.max() - target).square().mean()
    return loss


def gradient_step(learner: Any) -> Callable[[Any], None]:
    """A bare forward, backward and Adam step, to be called with observations; the weights stay as they are."""
    weights = [weight for weight in learner.policy.parameters() if weight.requires_grad]
    # In the trainer the weights are one vector, too.
    vector = nn.Parameter(torch.zeros(sum(weight.numel() for weight in weights), device=weights[0].device))
    vector.grad = torch.zeros_like(vector)
    optimizer = torch.optim.Adam([vector], fused=True)

    def step(observation: Any) -> None:
        torch.autograd.grad(bare_loss(learner, observation), weights, allow_unused=True)
        optimizer.step()

    return step


def measure(learner: Any, observation: Any, rows: int, repeats: int) -> dict[str, float]:
    """Seconds of a bare ``forward`` on ``observation`` and of a gradient step (``train``) on so many rows of it."""
    device = next(learner.policy.parameters()).device
    batch = map_observation(lambda x: x[torch.arange(rows, device=x.device) % len(x)], observation)
    step, forward = gradient_step(learner), bare_forward(learner.policy, observation)
    with weights_cast_once(device):  # as in a collection
        acting = _median_seconds(forward, repeats)
    return {"forward": acting, "train": _median_seconds(lambda: step(batch), repeats)}


def _median_seconds(function: Callable[[], Any], repeats: int) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        _settle()
        began = time.perf_counter()
        function()
        _settle()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
