"""Categorical action heads: Discrete, MultiDiscrete, MultiBinary, and heads that a command makes relevant.

Every supported space becomes a row of *segments*, each one categorical distribution. On a plain space there
is a segment per head and all of them always count. On a conditional space (one that carries a table
``sizes[command, argument]``) segment 0 is the command, and every pair (command, argument head) with more than
one choice is a segment of its own, which counts only under its command. With ``active[c, s]`` saying whether
segment ``s`` counts under command ``c``, one formula serves both kinds:

    log pi(a|s)   = sum_s active[c, s] log pi_s(a_s)
    entropy       = sum_s (sum_c pi_0(c) active[c, s]) H_s
    KL(old | new) = sum_s (sum_c pi_0_old(c) active[c, s]) KL_s
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.errors import ConfigError

# Padding of short segments. Finite, because 0 * -inf is NaN in p log p; exp of it is exactly 0 in float32.
NEVER = -1e9


@dataclass(frozen=True)
class ActionLayout:
    """How an action space falls into segments; plain data, the same for every learner.

    Attributes:
        shape: shape of one action as the env takes it (``()`` for Discrete).
        start: first valid integer of each head, ``[heads]``.
        nvec: choices of each head, ``[heads]``.
        conditional: whether segments count only under their command.
        head: which action head each segment decides, ``[segments]``.
        size: choices of each segment, ``[segments]``.
        active: whether a segment counts under a command, ``[commands, segments]`` (one row on plain spaces).
        segment: the segment that decides a head under a command, or ``segments`` for an irrelevant head,
            ``[commands, heads]``.
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    nvec: tuple[int, ...]
    conditional: bool
    head: tuple[int, ...]
    size: tuple[int, ...]
    active: tuple[tuple[bool, ...], ...]
    segment: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> ActionLayout:
        """The layout of ``space``.

        Raises:
            ConfigError: the space is not Discrete, MultiDiscrete or MultiBinary, or its ``sizes`` table does
                not fit its ``nvec``.
        """
        if isinstance(space, spaces.Discrete):
            nvec, start = [int(space.n)], [int(space.start)]
        elif isinstance(space, spaces.MultiDiscrete):
            nvec = [int(n) for n in space.nvec.reshape(-1)]
            start = [int(s) for s in np.asarray(space.start).reshape(-1)]
        elif isinstance(space, spaces.MultiBinary):
            nvec = [2] * int(np.prod(space.shape))
            start = [0] * len(nvec)
        else:
            raise ConfigError(
                f"action space {space} is not supported: hakisa's trainers act in Discrete, MultiDiscrete, "
                "MultiBinary and conditional spaces. Wrap the env so that it offers one of these "
                "(continuous actions: a grid of choices per dimension, as MultiDiscrete)."
            )
        shape = tuple(space.shape or ())
        sizes = getattr(space, "sizes", None)
        if sizes is not None:
            return cls._conditional(shape, start, nvec, np.asarray(sizes))
        heads = tuple(range(len(nvec)))
        return cls(shape, tuple(start), tuple(nvec), False, heads, tuple(nvec), ((True,) * len(nvec),), (heads,))

    @classmethod
    def _conditional(cls, shape: tuple[int, ...], start: list[int], nvec: list[int], sizes: np.ndarray) -> ActionLayout:
        expected = (nvec[0], len(nvec) - 1)
        if sizes.shape != expected or (sizes < 0).any() or (sizes > np.asarray(nvec[1:])).any():
            raise ConfigError(
                f"sizes {sizes.tolist()} does not fit nvec {nvec}: it needs shape {expected} "
                "(commands x argument heads) and entries from 0 to the head's number of choices."
            )
        relevant = [(c, h + 1, int(sizes[c, h])) for c, h in zip(*np.nonzero(sizes > 1), strict=True)]
        count = 1 + len(relevant)
        active = np.zeros((nvec[0], count), bool)
        active[:, 0] = True
        segment = np.full((nvec[0], len(nvec)), count)
        segment[:, 0] = 0
        for s, (c, h, _) in enumerate(relevant, 1):
            active[c, s] = True
            segment[c, h] = s
        return cls(
            shape,
            tuple(start),
            tuple(nvec),
            True,
            (0, *(int(h) for _, h, _ in relevant)),
            (nvec[0], *(n for _, _, n in relevant)),
            tuple(map(tuple, active.tolist())),
            tuple(map(tuple, segment.tolist())),
        )

    @property
    def choices(self) -> int:
        """Choices of all segments together: the outputs of a layer, and the entries of an action mask."""
        return sum(self.size)

    @property
    def log_choices(self) -> float:
        """Natural log of the number of meaningful joint actions: the entropy of the uniform policy."""
        per_command = [
            sum(math.log(n) for n, on in zip(self.size[1:], row[1:], strict=True) if on) for row in self.active
        ]
        if not self.conditional:
            return sum(math.log(n) for n in self.nvec)
        return math.log(sum(math.exp(x - max(per_command)) for x in per_command)) + max(per_command)


class Segments(nn.Module):
    """The tables of a layout, and what they translate: env actions, choices in segments, flat outputs of a layer.

    Args:
        layout: the segments.
    """

    head: Tensor
    size: Tensor
    active: Tensor
    segment: Tensor
    start: Tensor
    pad_index: Tensor

    def __init__(self, layout: ActionLayout) -> None:
        super().__init__()
        self.layout = layout
        self.padded = len(set(layout.size)) > 1
        size = torch.tensor(layout.size)
        place = torch.arange(max(layout.size)).expand(len(size), -1)
        first = (size.cumsum(0) - size).unsqueeze(1)
        tables = {
            "head": torch.tensor(layout.head),
            "size": size,
            "active": torch.tensor(layout.active, dtype=torch.float32),
            "segment": torch.tensor(layout.segment),
            "start": torch.tensor(layout.start),
            # Index one past the end picks the padding.
            "pad_index": torch.where(place < size.unsqueeze(1), first + place, sum(layout.size)),
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def spread(self, flat: Tensor, padding: float) -> Tensor:
        """``[batch, sum(sizes)]``, segment after segment, as ``[batch, segments, widest]``."""
        if self.padded:
            return nn.functional.pad(flat, (0, 1), value=padding)[:, self.pad_index]
        return flat.view(len(flat), *self.pad_index.shape)

    def encode(self, action: Tensor) -> Tensor:
        """Env actions ``[batch, *shape]`` as the choice in each segment ``[batch, segments]``.

        Arguments of a conditional space that are past their range wrap, as its ``canonical`` does; what comes out for
        segments that are not active under the action's command means nothing.
        """
        choice = action.reshape(len(action), -1).long() - self.start
        return choice[:, self.head] % self.size if self.layout.conditional else choice

    def decode(self, choice: Tensor) -> Tensor:
        """Choices in the segments ``[batch, segments]`` as env actions ``[batch, *shape]``; irrelevant heads are 0."""
        if self.layout.conditional:
            choice = nn.functional.pad(choice, (0, 1)).gather(1, self.segment[choice[:, 0]])
        return (choice + self.start).view(len(choice), *self.layout.shape)


def random_choice(allowed: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A choice in each segment ``[batch, segments]``, evenly among those of bool ``[batch, segments, widest]``."""
    lots = torch.rand(allowed.shape, generator=generator, device=allowed.device)
    return lots.masked_fill_(~allowed, -1.0).argmax(-1)


class ActionHeads(Segments):
    """One linear layer from features to the logits of all segments.

    Args:
        layout: the segments.
        features: width of the input.
        gain: orthogonal gain of the layer (0.01: the first policy is close to uniform, PPO's detail 2).
    """

    bonus: Tensor

    def __init__(self, layout: ActionLayout, features: int, gain: float = 0.01) -> None:
        super().__init__(layout)
        self.linear = nn.Linear(features, sum(layout.size))
        self._noise_shape = tuple(self.pad_index.shape)
        nn.init.orthogonal_(self.linear.weight, gain)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("bonus", _bonus_weights(layout), persistent=False)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> ActionDistribution:
        """Distribution over actions for features ``[batch, features]``; always computed in float32."""
        logits = nn.functional.linear(features.float(), self.linear.weight, self.linear.bias)
        return self.distribution(logits, mask)

    def distribution(self, logits: Tensor, mask: Tensor | None = None) -> ActionDistribution:
        """Distribution from flat logits ``[batch, sum(sizes)]``, segment after segment.

        Args:
            logits: of every choice.
            mask: bool, of the same shape: what may be chosen. A segment without any is one whose command may not be.
        """
        if mask is not None:
            logits = logits.masked_fill(~mask, NEVER)
        return ActionDistribution(self, torch.log_softmax(self.spread(logits, NEVER), -1))

    def noise(self, batch: int, generator: torch.Generator | None = None, masked: bool = False) -> Tensor:
        """What decides a batch of draws, ``[batch, segments, widest]``; of actions some of which may be forbidden."""
        noise = torch.empty(batch, *self._noise_shape, device=self.size.device).exponential_(generator=generator)
        # Not 0 then, by which even what is forbidden would win.
        return noise.clamp_min_(torch.finfo(torch.float32).tiny) if masked else noise


class ActionDistribution:
    """A batch of joint distributions over actions.

    Args:
        heads: the heads that made it, for their tables.
        log_probs: normalised log-probabilities ``[batch, segments, widest]``.
    """

    def __init__(self, heads: ActionHeads, log_probs: Tensor) -> None:
        self.heads = heads
        self.log_probs = log_probs

    def draw(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions ``[batch, *shape]`` drawn with :meth:`ActionHeads.noise`, and their log-probabilities."""
        index = (self.log_probs.exp() / noise).argmax(-1)  # the exponential race: no loop over segments
        return self.heads.decode(index), self._joint_log_prob(index)

    def mode(self) -> Tensor:
        """The most likely command, then its most likely arguments, ``[batch, *shape]``."""
        return self.heads.decode(self.log_probs.argmax(-1))

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-probability of env actions ``[batch, *shape]`` -> ``[batch]``.

        Arguments past their range wrap, and irrelevant heads are ignored, as the space's ``canonical`` does.
        """
        return self._joint_log_prob(self.heads.encode(action))

    def entropy(self) -> Tensor:
        """Exact entropy of the joint action in nats, ``[batch]``."""
        return (self._weights(self.heads.active) * self._segment_entropy()).sum(-1)

    def entropy_bonus(self) -> Tensor:
        """What the entropy term of a loss should reward, ``[batch]``.

        On plain spaces the entropy. On conditional ones every head's entropy relative to its own maximum and
        the commands' probabilities held fixed: the joint entropy would itself teach the commands with the
        widest arguments (ln 1920 against ln 6).
        """
        if not self.heads.layout.conditional:
            return self.entropy()
        return (self._weights(self.heads.bonus).detach() * self._segment_entropy()).sum(-1)

    def divergence(self, other: ActionDistribution) -> Tensor:
        """Exact KL(self | other) of the joint actions in nats, ``[batch]``; of other heads of the same layout."""
        each = (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1)
        return (self._weights(self.heads.active) * each).sum(-1)

    def log_choices(self) -> Tensor:
        """Natural log of the number of allowed joint actions, ``[batch]``: the entropy of the uniform policy."""
        allowed = self.log_probs > NEVER / 2
        choices = allowed.sum(-1).clamp_min(1).log()
        if not self.heads.layout.conditional:
            return choices.sum(-1)
        active = self.heads.active[:, 1:]
        per_command = choices[:, 1:] @ active.T
        return per_command.masked_fill(~allowed[:, 0, : len(active)], -torch.inf).logsumexp(-1)

    def _segment_entropy(self) -> Tensor:
        return -(self.log_probs.exp() * self.log_probs).sum(-1)

    def _joint_log_prob(self, index: Tensor) -> Tensor:
        """Of the choice of every segment, ``[batch, segments]``."""
        taken = self.log_probs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        if self.heads.layout.conditional:
            taken = taken * self.heads.active[index[:, 0]]
        return taken.sum(-1)

    def _weights(self, table: Tensor) -> Tensor:
        if not self.heads.layout.conditional:
            return table
        return self.log_probs[:, 0, : len(table)].exp() @ table


def _bonus_weights(layout: ActionLayout) -> Tensor:
    """``[commands, segments]``: 1 / log n for the command, 1 / (relevant heads * log size) for arguments."""
    active = np.asarray(layout.active, dtype=np.float64)
    scale = np.array([1 / math.log(n) if n > 1 else 0.0 for n in layout.size])
    arguments = np.maximum(active[:, 1:].sum(1, keepdims=True), 1)
    weights = active * scale
    weights[:, 1:] /= arguments
    return torch.tensor(weights, dtype=torch.float32)
