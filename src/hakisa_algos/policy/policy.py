"""What acts: the protocol of every policy, and the actor-critic that policy-gradient methods train."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.policy.compilation import Compiled
from hakisa_algos.policy.encoding import has_sides, is_picture
from hakisa_algos.policy.heads import ActionDistribution, ActionHeads, ActionLayout
from hakisa_algos.policy.memory import Kind, Memory
from hakisa_algos.policy.networks import MLP, MLPPair, NetworkFactory, build_network, orthogonal, width
from hakisa_algos.policy.normalizer import ObservationNormalizer
from hakisa_algos.policy.observations import Observation, ObservationLayout, split_mask
from hakisa_algos.policy.precision import has_pictures
from hakisa_algos.policy.small_actor import SmallActor

logger = logging.getLogger(__name__)

# What a policy carries from step to step, each tensor ``[num_envs, ...]``; empty for a feed-forward policy.
# A recurrent net keeps its hidden state here, a population the individual seated in each column.
State = dict[str, Tensor]
# Before the names of what a critic carries that has a memory of its own.
CRITIC = "value_"


def state_on(device: torch.device, state: State) -> State:
    """``state`` on ``device``."""
    return {name: entries.to(device) for name, entries in state.items()}


@dataclass(frozen=True, eq=False)
class Chunks:
    """How a flat batch of rows hangs together, for a policy with memory; the rows of the batch lie time first.

    Attributes:
        state: before the first rows, each ``[batch, width]``.
        start: bool ``[length, batch]``: an episode begins with the row, and nothing is remembered.
        wanted: of the ``length * batch`` rows those that an answer is wanted for; None: all.
    """

    state: State
    start: Tensor
    wanted: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Decision:
    """What a policy decided for a batch.

    Attributes:
        action: ``[batch, *action shape]``, integers as the env takes them.
        extras: what the learner wants stored beside it, each ``[batch, ...]``; a buffer column each.
        state: to pass to the next call.
    """

    action: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)
    state: State = field(default_factory=dict)


class Policy(Protocol):
    """Anything that can act. It holds no optimizer and no buffer, so a copy can act elsewhere."""

    observation: ObservationLayout
    version: int

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """Actions for a batch: with ``explore`` as the algorithm explores, else its best.

        Envs with ``groups`` of columns have it called from a thread for each, if the policy carries no state.
        """

    def initial_state(self, n: int) -> State:
        """The state of ``n`` columns before their first episode."""

    def begin(self, mask: Tensor, state: State) -> State:
        """The state with the columns in the bool ``mask`` ``[n]`` made ready for the first step of an episode."""


@contextmanager
def acting(policy: object) -> Iterator[None]:
    """While entered, ``policy`` is in ``eval()`` mode, if it is a module at all; afterwards it is as it was."""
    if not (isinstance(policy, nn.Module) and policy.training):
        yield
        return
    modes = [(module, module.training) for module in policy.modules()]
    policy.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@runtime_checkable
class Seated(Policy, Protocol):
    """A policy of many players who take the columns in turn: each has a game to play, and then leaves its seat."""

    def games(self, state: State) -> np.ndarray:
        """The game that is played in each column, int ``[n]``; -1 where nobody sits any more."""

    def seeds(self, mask: np.ndarray, state: State) -> list[int | None]:
        """For each column of ``mask`` the seed of the episode that begins; None where it does not matter."""

    def count(self, state: State, valid: np.ndarray) -> tuple[State, np.ndarray]:
        """The state after one more transition of the columns ``valid``, and the bool mask of games that end with it."""


class FeedForward:
    """The part of a :class:`Policy` that carries nothing from step to step."""

    def initial_state(self, n: int) -> State:
        """Nothing."""
        return {}

    def begin(self, mask: Tensor, state: State) -> State:
        """Nothing."""
        return state


@contextmanager
def learning(policy: Any, imitating: bool = False) -> Iterator[None]:
    """While entered, the networks of the user's own in ``policy`` are in ``train()`` mode.

    Those of ours drop out nothing where the policy learns from its own play, for what was done must stay as likely as
    it was then. Where it imitates somebody else, they do.

    A policy is in ``eval()`` mode from its construction on, and with every gradient step's end again.

    Args:
        policy: has ``own_networks``.
        imitating: ours, too.
    """
    modules = [policy] if imitating else policy.own_networks
    for module in modules:
        module.train()
    try:
        yield
    finally:
        for module in modules:
            module.eval()


class NetworkPolicy(FeedForward, nn.Module):
    """What all policies that are networks have in common: from the observation to features.

    Args:
        observation_space: Box or Dict of Box.
        network: see :func:`hakisa_algos.policy.networks.build_network`.
        hidden_sizes: of an MLP.
        activation: of an MLP.
        normalize_observation: scale observations by their running mean and variance, pictures pixel by pixel.
        bf16: run the network (never heads, losses or softmax) in bfloat16.
        critic: give the value of vectors a network of its own; pictures, and networks of the user's own, share theirs.
        own_critic: give the value a network of its own in any case.
        mask_size: entries of the action masks that observations carry; 0 if they carry none.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        *,
        network: str | NetworkFactory = "auto",
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "tanh",
        normalize_observation: bool = False,
        bf16: bool = False,
        critic: bool = False,
        own_critic: bool = False,
        mask_size: int = 0,
    ) -> None:
        super().__init__()
        self.observation = ObservationLayout(observation_space, mask_size)
        self.version = 0
        self.bf16 = bf16
        space = self.observation.space
        if network == "auto":
            _say_of_no_pictures(self.observation.raw_space)
        self.trunk = build_network(space, network, hidden_sizes, activation)
        # Vectors learn better with a trunk each (PPO's detail 13).
        apart = own_critic or (critic and not callable(network) and not has_pictures(space))
        self.value_trunk = build_network(space, network, hidden_sizes, activation) if apart else None
        self.own_networks = [t for t in (self.trunk, self.value_trunk) if callable(network) and t is not None]
        self.normalizer = ObservationNormalizer(space) if normalize_observation else None


def _say_of_no_pictures(space: spaces.Space[Any]) -> None:
    """What has the shape of a picture, and is not taken for one."""
    for key, entry in space.items() if isinstance(space, spaces.Dict) else [("", space)]:
        if has_sides(entry) and not is_picture(entry):
            logger.warning(
                "observation %s%s has the shape of a picture, but not its bounds, and is taken for a list of numbers: "
                'give its space finite ones, the same for all entries, as Box(0, 1, ...), or say network="mlp"',
                f"{key!r} " if key else "",
                entry.shape,
            )


class ActorCritic(NetworkPolicy):
    """A policy with a value estimate, for PPO, A2C and REINFORCE.

    Where its networks are small and of vectors, on the CPU, it acts in NumPy and leaves the critic out: what is stored
    does not say how likely an action was; one :meth:`judge` of a whole rollout does.

    Args:
        observation_space: Box or Dict of Box.
        action_space: Discrete, MultiDiscrete, MultiBinary, or a space with a ``sizes`` table.
        compile: compile what acts while exploring, where it is not in NumPy anyway.
        memory: what it remembers by, after the network; actor and critic then share both, unless ``own_critic``.
        memory_size: width of that.
        memory_span: rows that it is to remember.
        options: see :class:`NetworkPolicy`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        compile: bool = False,
        memory: Kind | None = None,
        memory_size: int = 128,
        memory_span: int = 32,
        own_critic: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(observation_space, critic=memory is None, own_critic=own_critic, **options)
        features = width(self.trunk)
        if isinstance(self.trunk, MLP) and isinstance(self.value_trunk, MLP):
            self.trunk, self.value_trunk = MLPPair(self.trunk, self.value_trunk), None
        self.memory = None if memory is None else Memory(memory, features, memory_size, memory_span)
        self.value_memory = None
        if memory is not None and own_critic:
            self.value_memory = Memory(memory, features, memory_size, memory_span)
        features = features if self.memory is None else self.memory.features
        self.heads = ActionHeads(ActionLayout.of(action_space), features)
        self.value_head = orthogonal(nn.Linear(features, 1), gain=1.0)
        self._explore: Callable[..., tuple[Any, ...]] = Compiled(self._draw) if compile else self._draw
        trunk, self._small = self.trunk, None
        if not self.bf16 and isinstance(trunk, MLP if self.memory else MLPPair) and self.value_memory is None:
            self._small = SmallActor(trunk, self.memory, self.heads)
        self.eval()

    def initial_state(self, n: int) -> State:
        """Nothing remembered."""
        state = {} if self.memory is None else self.memory.initial_state(n)
        if self.value_memory is not None:
            state |= {CRITIC + name: entries for name, entries in self.value_memory.initial_state(n).items()}
        return state

    def begin(self, mask: Tensor, state: State) -> State:
        """Nothing remembered where an episode begins."""
        return {name: entries.masked_fill(mask.unsqueeze(-1), 0) for name, entries in state.items()}

    def forward(self, observation: Observation, chunks: Chunks | None = None) -> tuple[ActionDistribution, Tensor]:
        """The distribution over actions, and the value ``[batch]``, both float32.

        Args:
            observation: a batch.
            chunks: how its rows hang together; needed by a policy with memory.
        """
        observation, mask = split_mask(observation)
        features, value_features = self._features(observation)
        if self.memory is not None:
            assert chunks is not None
            state, critics = _apart(chunks.state)
            rows, value_rows = (x.view(*chunks.start.shape, -1) for x in (features, value_features))
            features = value_features = self.memory(rows, state, chunks.start).flatten(0, 1)
            if self.value_memory is not None:
                value_features = self.value_memory(value_rows, critics, chunks.start).flatten(0, 1)
            if chunks.wanted is not None:
                features, value_features = features[chunks.wanted], value_features[chunks.wanted]
                mask = None if mask is None else mask[chunks.wanted]
        return self.heads(features, mask), self._value(value_features)

    def _next(self, observation: Observation, state: State) -> tuple[ActionDistribution, Tensor, State]:
        """The same for one row of all columns in ``state``, and the state after it."""
        observation, mask = split_mask(observation)
        features, value_features = self._features(observation)
        if self.memory is not None:
            own, critics = _apart(state)
            remembered, state = self.memory.run(features[None], own)
            features, value_rows = remembered[0], value_features[None]
            if self.value_memory is None:
                value_features = features
            else:
                remembered, critics = self.value_memory.run(value_rows, critics)
                value_features = remembered[0]
                state = state | {CRITIC + name: entries for name, entries in critics.items()}
        return self.heads(features, mask), self._value(value_features), state

    def _features(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """For the actor and for the critic; with memory float32."""
        with torch.autocast(self.heads.head.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            if self.normalizer is not None:
                observation = self.normalizer(observation)
            features = self.trunk(observation)
            if isinstance(features, tuple):
                features, value_features = features
            else:
                value_features = features if self.value_trunk is None else self.value_trunk(observation)
            if self.memory is not None:
                features, value_features = features.float(), value_features.float()
            return features, value_features

    def _value(self, features: Tensor) -> Tensor:
        return nn.functional.linear(features.float(), self.value_head.weight, self.value_head.bias).squeeze(-1)

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        """See :class:`Policy`; stores ``log_prob`` and ``value``, unless it acts in NumPy."""
        if explore:
            first = next(iter(observation.values())) if isinstance(observation, dict) else observation
            noise = self.heads.noise(first.shape[0], generator, self.observation.mask_size > 0)
            if self._small is not None and noise.device.type == "cpu":
                return self._act_in_numpy(self._small, observation, noise, state)
        with torch.no_grad():  # in inference mode autocast would cast the weights in every step of a collection
            if explore:
                action, log_prob, value, state = self._explore(observation, noise, state)
                return Decision(action, {"log_prob": log_prob, "value": value}, state)
            distribution, _, state = self._next(observation, state)
            return Decision(distribution.mode(), {}, state)

    def _act_in_numpy(self, small: SmallActor, observation: Observation, noise: Tensor, state: State) -> Decision:
        observation, mask = split_mask(observation)
        if self.normalizer is not None:
            observation = self.normalizer(observation)
        assert isinstance(observation, Tensor)  # only those are small
        allowed = None if mask is None else mask.numpy()
        drawn, after = small.act(observation.numpy(), noise.numpy(), state, allowed)
        return Decision(torch.from_numpy(drawn), {}, after)

    def _draw(self, observation: Observation, noise: Tensor, state: State) -> tuple[Any, ...]:
        distribution, value, state = self._next(observation, state)
        return *distribution.draw(noise), value, state

    @torch.inference_mode()
    def judge(self, observation: Observation, action: Tensor, chunks: Chunks | None = None) -> dict[str, Tensor]:
        """``log_prob`` of actions ``[batch, *shape]`` and ``value`` of observations, each ``[batch]``."""
        distribution, value = self(observation, chunks)
        return {"log_prob": distribution.log_prob(action), "value": value}

    @torch.inference_mode()
    def value(self, observation: Observation, state: State | None = None) -> Tensor:
        """The value of each observation, ``[batch]``, in ``state``, if there is memory."""
        return self._next(observation, state or {})[1]

    @torch.no_grad()
    def remember(self, observation: Observation, chunks: Chunks) -> State:
        """The state after the last rows."""
        assert self.memory is not None
        both = self._features(split_mask(observation)[0])
        rows, value_rows = (features.view(*chunks.start.shape, -1) for features in both)
        own, critics = _apart(chunks.state)
        state = self.memory.after(rows, own, chunks.start)
        if self.value_memory is not None:
            critics = self.value_memory.after(value_rows, critics, chunks.start)
            state |= {CRITIC + name: entries for name, entries in critics.items()}
        return state


def _apart(state: State) -> tuple[State, State]:
    """What the actor carries, and what a critic with a memory of its own does."""
    critics = {name.removeprefix(CRITIC): entries for name, entries in state.items() if name.startswith(CRITIC)}
    return {name: entries for name, entries in state.items() if not name.startswith(CRITIC)}, critics
