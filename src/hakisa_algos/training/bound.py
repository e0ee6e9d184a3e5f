"""The least time that a run could take: its envs, bare forwards and bare gradient steps, and nothing between them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hakisa_algos.policy.observations import Observation, map_observation
from hakisa_algos.policy.precision import weights_cast_once


@dataclass(frozen=True)
class Bound:
    """Seconds of the parts that no loop round them can save.

    Attributes:
        forward: what acting asks of the network, on the observations of all envs.
        train: a forward, backward and Adam step on one minibatch, with as cheap a loss as there is.
    """

    forward: float
    train: float

    def share(self, elapsed: float, env: float, rows: int, gradient_steps: float) -> float:
        """The part of ``elapsed`` seconds that the bound would take: 1 is a loop that costs nothing.

        Args:
            elapsed: seconds of the run.
            env: of them in the envs themselves; where threads step parts of them at once, the threads' mean.
            rows: env steps, all envs together counted as one.
            gradient_steps: minibatches.
        """
        return (env + rows * self.forward + gradient_steps * self.train) / elapsed


def measure_bound(learner: Any, observation: Observation, minibatch: int, repeats: int = 5) -> Bound:
    """Times the networks of ``learner`` by themselves, without changing them.

    Args:
        learner: one with ``bare_loss(observation)``, whose policy has ``bare(observation)``.
        observation: of all envs, each tensor ``[num_envs, ...]``, on the policy's device.
        minibatch: rows of a gradient step.
        repeats: how often each part is timed; the median counts.
    """
    policy = learner.policy
    weights = [weight for weight in policy.parameters() if weight.requires_grad]
    batch = map_observation(lambda x: _repeated(x, minibatch), observation)
    # In the trainer the weights are one vector, too.
    vector = nn.Parameter(torch.zeros(sum(weight.numel() for weight in weights), device=weights[0].device))
    vector.grad = torch.zeros_like(vector)
    optimizer = torch.optim.Adam([vector], fused=True)

    def train() -> None:
        torch.autograd.grad(learner.bare_loss(batch), weights, allow_unused=True)
        optimizer.step()

    device = weights[0].device
    on_gpu = device.type == "cuda"
    with torch.no_grad(), weights_cast_once(device):  # as in a collection
        forward = _median_seconds(lambda: policy.bare(observation), repeats, on_gpu)
    return Bound(forward, _median_seconds(train, repeats, on_gpu))


def _repeated(x: Tensor, rows: int) -> Tensor:
    """``[n, ...]`` as ``[rows, ...]``, in the memory layout that it has."""
    return x[torch.arange(rows, device=x.device) % len(x)]


def _median_seconds(function: Callable[[], None], repeats: int, on_gpu: bool) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        if on_gpu:
            torch.cuda.synchronize()
        began = time.perf_counter()
        function()
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
