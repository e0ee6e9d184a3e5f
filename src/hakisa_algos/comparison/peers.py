"""Stable-Baselines3's algorithms on the same envs, as its users run them (extra ``sb3``)."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.comparison.plan import PEER_PREFIX, Job
from hakisa_algos.comparison.players import Player, Watch, spaces_of
from hakisa_algos.errors import ConfigError, did_you_mean, require
from hakisa_algos.policy.networks import NATURE_SIDE
from hakisa_algos.policy.observations import Observation, ObservationLayout, RawObservation, map_observation
from hakisa_algos.policy.policy import Decision, FeedForward, State
from hakisa_algos.policy.precision import resolve_device, torch_threads

# Of the zoo of tuned agents: by algorithm and entry, what RL Baselines3 Zoo, hyperparams/ALGORITHM.yml, says.
ZOO: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("ppo", "CartPole-v1"): {
        "num_envs": 8,
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "ent_coef": 0.0,
        "learning_rate": "lin_0.001",
        "clip_range": "lin_0.2",
    },
    ("dqn", "CartPole-v1"): {
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1_000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
    ("a2c", "CartPole-v1"): {"num_envs": 8, "ent_coef": 0.0},
    ("ppo", "atari"): {
        "num_envs": 8,
        "n_steps": 128,
        "batch_size": 256,
        "n_epochs": 4,
        "learning_rate": "lin_2.5e-4",
        "clip_range": "lin_0.1",
        "vf_coef": 0.5,
        "ent_coef": 0.01,
    },
    ("dqn", "atari"): {
        "buffer_size": 100_000,
        "learning_rate": 1e-4,
        "batch_size": 32,
        "learning_starts": 100_000,
        "target_update_interval": 1_000,
        "train_freq": 4,
        "gradient_steps": 1,
        "exploration_fraction": 0.1,
        "exploration_final_eps": 0.01,
    },
}
# Its entry of an env that it knows by another name.
ENTRIES = {"Hakisa/Pong-v0": "atari"}


def peer(job: Job) -> Player:
    """A player of SB3; ``changes`` of its job are SB3's own keyword arguments, and ``num_envs`` (default 1)."""
    library = require("stable_baselines3", "sb3")
    options = dict(job.protocol.env_options)
    layout = _AsGiven(spaces_of(job)[0])
    name, entry = job.algorithm.removeprefix(PEER_PREFIX), ENTRIES.get(job.env, job.env)
    tuned = ZOO.get((name, entry), {}) if job.protocol.peer_settings == "zoo" else {}
    source = f"RL Baselines3 Zoo, hyperparams/{name}.yml, {entry}" if tuned else "SB3's own defaults"
    arguments = dict(tuned) | job.protocol.changes_of(job.algorithm)
    num_envs = arguments.pop("num_envs", 1)
    config = {"num_envs": num_envs, **arguments}
    make_vec_env = require("stable_baselines3.common.env_util", "sb3").make_vec_env
    envs = make_vec_env(job.env, num_envs, seed=job.seed, env_kwargs=options)
    try:
        model = getattr(library, name.upper())(
            _policy_for(layout.raw_space),
            envs,
            seed=job.seed,
            device=resolve_device("auto", layout.raw_space),
            **{key: _value(value) for key, value in arguments.items()},
        )
    except (AssertionError, TypeError, ValueError) as error:
        envs.close()
        raise ConfigError(f"SB3's {name.upper()} does not take {job.env} with {arguments}: {error}") from error

    def train(watch: Watch) -> int:
        with torch_threads(job.protocol.threads):
            callbacks = require("stable_baselines3.common.callbacks", "sb3")
            each = callbacks.ConvertCallback(lambda local, everything: watch(model.num_timesteps))
            model.learn(job.protocol.steps, callback=each)
        return int(model.num_timesteps)

    def seed(seed: int) -> None:
        model.set_random_seed(seed % 2**32)  # of the global generators, from which SB3 draws
        model.action_space.seed(seed % 2**32)

    return Player(
        source=source,
        config=config,
        policy=_ModelPolicy(model, layout),
        device=torch.device("cpu"),
        train=train,
        seed=seed,
        close=envs.close,
    )


def check_peer(job: Job) -> None:
    """Finds keyword arguments that SB3 does not have: a ConfigError."""
    name = job.algorithm.removeprefix(PEER_PREFIX).upper()
    known = set(inspect.signature(getattr(require("stable_baselines3", "sb3"), name).__init__).parameters)
    known = (known | {"num_envs"}) - {"self", "policy", "env"}
    for keyword in job.protocol.changes_of(job.algorithm):
        if keyword not in known:
            raise ConfigError(f"SB3's {name} has no argument {keyword!r}.{did_you_mean(keyword, known)}")


class _AsGiven(ObservationLayout):
    """SB3 has an encoding of its own, for what the env gives."""

    def encode(self, raw: RawObservation, mask: np.ndarray | None = None) -> Any:
        return raw


def _policy_for(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    # What it takes for pictures: bytes in three dimensions, of the whole range.
    box = space if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 else None
    whole = box is not None and sorted(box.shape)[1] >= NATURE_SIDE and box.high.min() == 255
    return "CnnPolicy" if whole else "MlpPolicy"


class _ModelPolicy(FeedForward):
    """An SB3 model as a :class:`hakisa_algos.policy.policy.Policy` that only plays."""

    def __init__(self, model: Any, layout: ObservationLayout) -> None:
        self._model = model
        self.observation = layout
        self.version = 0

    def act(self, observation: Observation, state: State, explore: bool, generator: torch.Generator | None) -> Decision:
        raw = map_observation(lambda tensor: tensor.numpy(), observation)
        action, _ = self._model.predict(raw, deterministic=not explore)
        return Decision(torch.as_tensor(action))


def _value(value: Any) -> Any:
    """A hyperparameter as SB3 wants it: ``"lin_0.001"`` is the zoo's word for a value that falls to 0."""
    if not isinstance(value, str) or not value.startswith("lin_"):
        return value
    return functools.partial(operator.mul, float(value.removeprefix("lin_")))  # by what remains of the run, 1 to 0
