"""What PPO, PQN and DQN do with a loss: clipped steps on one vector of weights, and all of an update or none of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hakisa_algos.errors import NonFiniteError
from hakisa_algos.learners.config import GradientConfig, anneal, no_preset
from hakisa_algos.policy.heads import ActionLayout
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import Observation, split_mask
from hakisa_algos.policy.precision import has_pictures, keep_freed_memory, resolve_bf16

# Rows of each rollout or ring, drawn at random, that the observation statistics are taken from each time.
NORMALIZER_ROWS = 256


class FlatWeights:
    """Moves the trainable weights of a module into one vector, of which they become views.

    Clipping and an optimizer step are then one call each instead of one per weight, which is most of what they cost
    a small network. The module's ``state_dict`` and ``load_state_dict`` work as before.

    Args:
        module: on its device already.

    Attributes:
        vector: what to give to the optimizer.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.vector = nn.Parameter(torch.cat([weight.detach().flatten() for weight in self._weights]))
        self.vector.grad = self._gradient = torch.zeros_like(self.vector)
        sizes = [weight.numel() for weight in self._weights]
        parts = zip(
            self._weights, torch.split(self.vector.data, sizes), torch.split(self._gradient, sizes), strict=True
        )
        for weight, values, gradient in parts:
            weight.data, weight.grad = values.view_as(weight), gradient.view_as(weight)

    def differentiate(self, loss: Tensor, max_norm: float) -> Tensor:
        """Puts the gradient of ``loss``, scaled down to ``max_norm``, into ``vector.grad``; returns its norm before."""
        gradients = torch.autograd.grad(loss, self._weights, materialize_grads=True)
        torch.cat([gradient.flatten() for gradient in gradients], out=self._gradient)
        norm: Tensor = torch.linalg.vector_norm(self._gradient)
        self._gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1))
        return norm


class Descent:
    """The gradient steps of a policy, update by update.

    Args:
        policy: an ``nn.Module`` on ``device``, with ``version``, ``normalizer`` (or None) and ``own_networks``.
        optimizer: makes the optimizer of the weights, which are one vector.
        random: what updates draw with.
        device: where the policy lives.
        target: a further network, which follows the policy and goes back with it.

    Attributes:
        weights: the policy's.
        target_weights: the target's, in the same order.
        updates: done so far.
        learning_rate_scale: the learning rate is multiplied by this.
    """

    def __init__(
        self,
        policy: Any,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        random: torch.Generator | np.random.Generator,
        device: torch.device,
        target: Any = None,
    ) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        self.weights = FlatWeights(policy)
        self.target_weights = FlatWeights(target) if target is not None else None
        self.optimizer = optimizer([self.weights.vector])
        self.updates = 0
        self.learning_rate_scale = 1.0
        self._policy, self._random = policy, random
        own = [*policy.own_networks, *(target.own_networks if target is not None else ())]
        # A network of the user's own may draw anything, ours what to drop out.
        self._draws = bool(own) or any(isinstance(module, nn.Dropout2d) for module in policy.modules())
        self._device = device
        # Whose buffers an update may change.
        self._moving: list[nn.Module] = own if policy.normalizer is None else [*own, policy.normalizer]
        self._copies: list[Tensor] = []
        self._max_norm = math.inf

    @contextlib.contextmanager
    def update(self, config: GradientConfig, progress: float, steps: int | None = None) -> Iterator[None]:
        """An update while entered; after an error in it everything is as it was before.

        Args:
            config: the algorithm's.
            progress: share of the run's ``total_steps`` that is done, which the learning rate follows.
            steps: how many there will be, if that is known. Of one alone, with :meth:`settle` before it, no weights
                are copied: there is nothing to take back.
        """
        rate = self.learning_rate_scale * anneal(config.learning_rate, config.learning_rate_schedule, progress)
        self.optimizer.param_groups[0]["lr"] = rate
        self._max_norm = config.max_grad_norm
        drawn, fresh = _state_of(self._random), not self.optimizer.state
        self._keep(weights=steps != 1)
        try:
            with self._seeded():
                yield
        except BaseException:
            if fresh:
                self.optimizer.state.clear()  # it has none before its first step
            with torch.no_grad():
                for tensor, kept in zip(self._live(weights=steps != 1), self._copies, strict=True):
                    tensor.copy_(kept)
            _set_state(self._random, drawn)
            raise
        self.updates += 1
        self._policy.version += 1

    @contextlib.contextmanager
    def _seeded(self) -> Iterator[None]:
        """While entered, what a network draws by torch's global generator is drawn by ours."""
        if not self._draws:
            yield
            return
        high = 2**62
        if isinstance(self._random, torch.Generator):
            seed = int(torch.randint(high, (), generator=self._random))
        else:
            seed = int(self._random.integers(high))
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def differentiate(self, loss: Tensor, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Makes ready the step down ``loss``; returns ``terms`` as numbers, with the norm of the gradient."""
        norm = self.weights.differentiate(loss, self._max_norm)
        return {name: term.detach() for name, term in terms.items()} | {"grad_norm": norm}

    def step(self) -> None:
        """Takes it."""
        self.optimizer.step()

    def settle(
        self, terms: Sequence[Mapping[str, Tensor]], seen: Observation | None, arrays: Callable[[], dict[str, Tensor]]
    ) -> dict[str, float]:
        """Ends an update, unless it went wrong; returns metrics.

        Args:
            terms: of every gradient step, of which the metrics are the means.
            seen: observations that go into the statistics which the policy scales observations by.
            arrays: makes what a crash file should hold.

        Raises:
            NonFiniteError: one of them is NaN or infinite.
        """
        values = torch.stack([term for each in terms for term in each.values()]).view(len(terms), -1)
        means = dict(zip(terms[0], values.mean(0).tolist(), strict=True))
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if seen is not None:
            # An infinite observation is clipped to a finite one, but not before it is in the statistics.
            self._policy.normalizer.update(split_mask(seen)[0])
            if not all(bool(entries.isfinite().all()) for entries in self._policy.normalizer.buffers()):
                wrong.append("observation statistics")
        if wrong:
            raise NonFiniteError(
                f"update {self.updates + 1}: {', '.join(wrong)} became NaN or infinite. The weights are as they were "
                "before it. Look for NaN in rewards and observations, or lower learning_rate",
                {name: tensor.cpu().numpy() for name, tensor in arrays().items()},
            )
        return {f"train/{name}": value for name, value in means.items()} | {
            "train/learning_rate": self.optimizer.param_groups[0]["lr"],
            "train/n_updates": self.updates + 1,
            "train/gradient_steps": len(terms),
        }

    @torch.no_grad()
    def _keep(self, weights: bool) -> None:
        live = self._live(weights)
        if len(self._copies) != len(live):
            self._copies = [tensor.clone() for tensor in live]
        elif live:  # into memory that was taken once
            torch._foreach_copy_(self._copies, live)

    def _live(self, weights: bool) -> list[Tensor]:
        """All that an update changes."""
        live = [buffer for module in self._moving for buffer in module.buffers()]
        if weights:
            vectors = [flat.vector.data for flat in (self.weights, self.target_weights) if flat is not None]
            state = [v for entry in self.optimizer.state.values() for v in entry.values() if isinstance(v, Tensor)]
            live += [*vectors, *state]
        return live

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`; the target is not in it."""
        return {
            "policy": dict(self._policy.state_dict()),
            "version": self._policy.version,
            "optimizer": self.optimizer.state_dict(),
            "random": _state_of(self._random),
            "updates": self.updates,
            "learning_rate_scale": self.learning_rate_scale,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self._policy.load_state_dict(state["policy"])
        self._policy.version = state["version"]
        self.optimizer.load_state_dict(state["optimizer"])
        _set_state(self._random, state["random"])
        self.updates = state["updates"]
        self.learning_rate_scale = state["learning_rate_scale"]


class GradientLearner:
    """What PPO, PQN and DQN are as a :class:`hakisa_algos.learners.learner.Learner`, whose arguments it takes."""

    config_class: ClassVar[type]
    for_pictures: ClassVar[Any]
    presets: ClassVar[Mapping[str, Any]] = {}
    policy: Any
    descent: Descent

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        config: Any,
        *,
        num_envs: int,
        seed: int,
        device: torch.device,
        network: NetworkFactory | None = None,
    ) -> None:
        self.config, self.num_envs, self.device = config, num_envs, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = self._make_policy(
                observation_space,
                action_space,
                network=network or config.network,
                hidden_sizes=config.hidden_sizes,
                activation=config.activation,
                normalize_observation=config.normalize_observation,
                bf16=resolve_bf16(config.precision, device, observation_space),
                mask_size=ActionLayout.of(action_space).choices if config.action_masks is True else 0,
            ).to(device)
        self._begin(seed)

    def _make_policy(self, *spaces: Any, **options: Any) -> nn.Module:
        """Of these spaces; the options are those of :class:`hakisa_algos.policy.policy.NetworkPolicy`."""
        raise NotImplementedError

    def _begin(self, seed: int) -> None:
        """Makes ``descent`` and whatever else it takes to learn."""
        raise NotImplementedError

    @property
    def normalizes(self) -> bool:
        """Whether updates move the statistics that the policy scales observations by."""
        return self.policy.normalizer is not None and not self.config.freeze_normalizer

    def begin_from(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over a policy's ``state_dict``, before the first update."""
        self.policy.load_state_dict(weights)

    @classmethod
    def default_config(cls, observation_space: spaces.Space[Any], preset: str | None = None) -> Any:
        """For pictures ``for_pictures``, for vectors the defaults of ``config_class``; or one of ``presets``."""
        if preset is not None:
            if preset not in cls.presets:
                raise no_preset(preset, cls.presets)
            return cls.presets[preset]
        return cls.for_pictures if has_pictures(observation_space) else cls.config_class()

    def state(self) -> dict[str, Any]:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        return self.descent.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """See :class:`hakisa_algos.learners.learner.Learner`."""
        self.descent.load_state(state)


def _state_of(random: torch.Generator | np.random.Generator) -> Any:
    return random.get_state() if isinstance(random, torch.Generator) else random.bit_generator.state


def _set_state(random: torch.Generator | np.random.Generator, state: Any) -> None:
    if isinstance(random, torch.Generator):
        random.set_state(state)
    else:
        random.bit_generator.state = state
