"""The user's face of it all: ``PPO("CartPole-v1", seed=1).learn(100_000)``."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.vectorize import EnvLike, Vectorization, make_envs, why_not_from_file
from hakisa_algos.errors import CheckpointError, ConfigError, did_you_mean
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import check_seed
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.observations import map_observation, to_tensors
from hakisa_algos.policy.policy import State
from hakisa_algos.policy.precision import make_repeatable, resolve_device, resolve_threads, torch_threads
from hakisa_algos.training.checkpoint import load_checkpoint, save_checkpoint
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.metrics import JsonlSink, Sink
from hakisa_algos.training.run_folder import RunFolder
from hakisa_algos.training.trainer import Callback, CollapseAction, Trainer, View, check_collapse

logger = logging.getLogger(__name__)


class Agent:
    """An algorithm, its policy and its envs.

    Args:
        env: an env id (``"CartPole-v1"``, ``"Hakisa/Pong-v0"``), an env, a callable that makes one, or a vector
            env.
        config: the algorithm's hyperparameters; default: those it recommends for the env's observations.
        algorithm: a name from :func:`hakisa_algos.learners.registry.algorithms`; subclasses have their own.
        seed: of everything random: the same seed gives the same weights on the same machine.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        threads: that torch uses while it learns and evaluates; default: all cores for pictures, else one.
        network: a callable ``(observation_space) -> nn.Module with .features``, instead of ``config.network``.
        env_options: keyword arguments for an env id.
        vectorization: see :func:`hakisa_algos.data.vectorize.make_envs`.
        eval_env: for evaluation, where ``env`` is an env object; ids and callables make their own.

    Raises:
        ConfigError: env, spaces, options and config do not fit together; the message says how to mend it.
    """

    algorithm: ClassVar[str | None] = None

    def __init__(
        self,
        env: EnvLike,
        config: Any = None,
        *,
        algorithm: str | None = None,
        seed: int = 0,
        device: str = "auto",
        threads: int | None = None,
        network: NetworkFactory | None = None,
        env_options: Mapping[str, Any] | None = None,
        vectorization: Vectorization = "auto",
        eval_env: EnvLike | None = None,
    ) -> None:
        name = algorithm or self.algorithm
        if name is None:
            raise ConfigError('Agent needs algorithm=, such as "ppo"; or use PPO, A2C or REINFORCE')
        learner_class = find_algorithm(name)
        if config is not None and not isinstance(config, learner_class.config_class):
            raise ConfigError(f"{name} takes a {learner_class.config_class.__name__}, not a {type(config).__name__}")
        self.name = name
        self.seed = check_seed(seed)
        self._env, self._eval_env = env, eval_env
        self._env_options = dict(env_options or {})
        self._vectorization: Vectorization = vectorization
        if config is None:
            config = learner_class.default_config(self._observation_space())
        self._custom_network = network is not None
        self._owns_envs = isinstance(env, str) or not isinstance(env, gym.Env | VectorEnv)
        self.envs = self._make(env, config.num_envs if self._owns_envs else None)
        config = dataclasses.replace(config, num_envs=self.envs.num_envs)
        space = self.envs.single_observation_space
        self.device = resolve_device(device, space)
        make_repeatable(self.device)
        self.threads = resolve_threads(threads, space)
        self.learner = learner_class(
            space,
            self.envs.single_action_space,
            config,
            num_envs=self.envs.num_envs,
            seed=seed,
            device=self.device,
            network=network,
        )
        self._trainer: Trainer | None = None
        self._loaded: dict[str, Any] | None = None
        self._home: Path | None = None  # the run folder that this agent may write to again

    @property
    def config(self) -> Any:
        """The hyperparameters in use."""
        return self.learner.config

    @property
    def steps(self) -> int:
        """Env steps of the run so far."""
        if self._trainer is not None:
            return self._trainer.step
        return int(self._loaded["step"]) if self._loaded is not None else 0

    @property
    def stopped_by(self) -> str | None:
        """Why the last :meth:`learn` came back early: a signal, ``"callback"``, ``"BudgetSpent"``, ...; or None."""
        return self._trainer.stopped_by if self._trainer is not None else None

    @property
    def budget_spent(self) -> bool:
        """Whether the last :meth:`learn` came back because the env steps left were too few for what comes next."""
        return self._trainer is not None and self._trainer.budget_spent

    @property
    def policy(self) -> Any:
        """What acts."""
        return self.learner.policy

    def learn(
        self,
        total_steps: int | None = None,
        *,
        run: RunFolder | Path | str | None = None,
        callbacks: Sequence[Callback] = (),
        sinks: Sequence[Sink] = (),
        view: View | None = None,
        evaluate_every: int = 0,
        evaluate_episodes: int = 20,
        checkpoint_every: int = 100_000,
        checkpoint_replay: Literal["latest", "never"] = "latest",
        collapse: CollapseAction = "warn",
    ) -> Self:
        """Trains until the run has ``total_steps`` env steps in all; a second call goes on where the first stopped.

        Args:
            total_steps: length of the whole run; default ``config.total_steps``. Schedules end with it.
            run: folder for metrics and checkpoints, which must not exist yet unless it is this agent's own;
                default: its own, where it was loaded from or began in one, else nothing is written.
            callbacks: ``(trainer, metrics)`` after every update; False stops.
            sinks: more places for metrics.
            view: shows the run.
            evaluate_every: env steps between evaluations in envs of their own; 0 never.
            evaluate_episodes: episodes of each evaluation, deterministic and stochastic.
            checkpoint_every: env steps between checkpoints; 0 only at the end.
            checkpoint_replay: whether checkpoints hold what later updates still read: ``"latest"`` or ``"never"``.
            collapse: ``"warn"``, ``"restore"`` or ``"off"``.

        Returns:
            The agent itself.
        """
        check_collapse(collapse)
        _check_counts(evaluate_every=evaluate_every, checkpoint_every=checkpoint_every)
        if evaluate_episodes < 1:
            raise ConfigError(f"evaluate_episodes={evaluate_episodes!r} must be at least 1")
        if checkpoint_replay not in ("latest", "never"):
            raise ConfigError(f"checkpoint_replay={checkpoint_replay!r} must be 'latest' or 'never'")
        if total_steps is not None:
            self.learner.config = dataclasses.replace(self.learner.config, total_steps=total_steps)
        trainer = self._trainer = self._trainer or self._build_trainer()
        folder = self._run_folder(run)
        opened: list[Sink] = []
        if folder:
            opened.append(JsonlSink(folder.metrics, resume_step=trainer.step))
        trainer.sinks = [*opened, *sinks]
        trainer.view = view
        trainer.callbacks = list(callbacks)
        trainer.checkpoints = folder.checkpoints if folder else None
        trainer.checkpoint_every, trainer.checkpoint_replay = checkpoint_every, checkpoint_replay
        trainer.evaluate_every, trainer.collapse = evaluate_every, collapse
        trainer.evaluation = (lambda: self._evaluation(evaluate_episodes)) if evaluate_every else None
        trainer.identity = self.identity()
        try:
            with torch_threads(self.threads):
                trainer.train()
        finally:
            for sink in opened:
                sink.close()
        return self

    def predict(
        self,
        observation: Any,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[Any, State]:
        """Actions for one observation or a batch of them, as NumPy; like SB3's ``predict``.

        Args:
            observation: as the env gives it, with or without a batch axis.
            state: what the last call returned; None at first.
            episode_start: bool ``[n]``: where an episode begins with this observation; default: everywhere at
                first, then nowhere.
            deterministic: the best action; False draws one as in training.

        Returns:
            The action or the batch of actions, and the state for the next call.
        """
        layout = self.policy.observation
        batched = layout.is_batch(observation)
        if not batched:
            observation = map_observation(lambda x: np.asarray(x)[None], observation)
        tensors = to_tensors(layout.encode(observation), self.device)
        n = len(next(iter(tensors.values())) if isinstance(tensors, dict) else tensors)
        if state is None:
            state = self.policy.initial_state(n)
            episode_start = np.ones(n, bool) if episode_start is None else episode_start
        if episode_start is not None and np.any(episode_start):
            state = self.policy.begin(torch.as_tensor(np.atleast_1d(episode_start)), state)
        with torch_threads(self.threads):
            decision = self.policy.act(tensors, state, not deterministic, None)
        action = decision.action.cpu().numpy()
        return (action if batched else action[0]), decision.state

    def evaluate(
        self, episodes: int = 20, *, seed: int = 0, deterministic: bool = True, num_envs: int | None = None
    ) -> Evaluation:
        """Plays whole episodes in envs of their own, on seeds that training does not see.

        Args:
            episodes: at least so many.
            seed: of the evaluation.
            deterministic: the policy's best actions; False draws them.
            num_envs: how many at a time; default the training's number, at most ``episodes``.
        """
        envs = self._make_eval(min(episodes, num_envs or self.envs.num_envs))
        try:
            with torch_threads(self.threads):
                return evaluate(
                    self.policy,
                    envs,
                    episodes=episodes,
                    seed=seed,
                    deterministic=deterministic,
                    device=self.device,
                )
        finally:
            if not isinstance(self._eval_env, gym.Env | VectorEnv):  # the user's own stays open
                envs.close()

    def save(self, path: Path | str) -> Path:
        """Writes a checkpoint into the folder ``path`` and returns where it lies; :meth:`load` takes either."""
        trainer = self._trainer = self._trainer or self._build_trainer()
        trainer.identity = self.identity()
        return save_checkpoint(Path(path), trainer.state())

    @classmethod
    def load(
        cls,
        path: Path | str,
        env: EnvLike | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        network: NetworkFactory | None = None,
        env_options: Mapping[str, Any] | None = None,
        vectorization: Vectorization | None = None,
        eval_env: EnvLike | None = None,
    ) -> Self:
        """The agent of a run folder, a checkpoints folder or one checkpoint; :meth:`learn` goes on with its run.

        Args:
            path: where it lies.
            env: needed if it was trained on an env object, a callable, or an id that names a module.
            device: where to put it.
            network: needed if it was trained with one.
            env_options: default: those it was trained with.
            vectorization: default: as it was trained.
            eval_env: for evaluation, where ``env`` is an env object.

        Raises:
            CheckpointError: nothing that can be loaded, or of another algorithm.
            ConfigError: ``env`` or ``network`` is needed, or does not fit.
        """
        path = Path(path)
        state = load_checkpoint(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
        identity = state.get("identity", {})
        name = identity.get("algorithm")
        if name is None:
            raise CheckpointError(f"{path} names no algorithm; pass a folder that a run or an agent's save() wrote")
        if cls.algorithm not in (None, name):
            raise CheckpointError(f"{path} holds algorithm {name!r}, not {cls.algorithm!r}; use Agent.load")
        if identity["custom_network"] and network is None:
            raise ConfigError(f"{path} was trained with a network of your own; pass it again as network=")
        if env is None:
            env = _stored_env(path, identity["env"], identity["env_options"])
        agent = cls(
            env,
            config_from(find_algorithm(name).config_class, identity["config"]),
            algorithm=name,
            seed=identity["seed"],
            device=device,
            threads=threads,
            network=network,
            env_options=identity["env_options"] if env_options is None and isinstance(env, str) else env_options,
            vectorization=vectorization or identity["vectorization"],
            eval_env=eval_env,
        )
        try:
            agent.learner.load_state(state["learner"])
        except (RuntimeError, KeyError) as error:
            raise ConfigError(f"the weights in {path} do not fit this env or network: {error}") from error
        agent._loaded = state
        agent._home = path if (path / "config.json").is_file() else None
        return agent

    def close(self) -> None:
        """Closes the envs that this agent made."""
        if self._owns_envs:
            self.envs.close()

    def _build_trainer(self) -> Trainer:
        again = functools.partial(make_envs, self._env, self.envs.num_envs, self._env_options, self._vectorization)
        trainer = Trainer(
            self.learner,
            self.envs,
            seed=self.seed,
            device=self.device,
            make_envs=again if self._owns_envs else None,
        )
        if self._loaded is not None:
            columns = len(self._loaded["buffer"]["age"])
            if columns != self.envs.num_envs:
                raise ConfigError(
                    f"the run has {columns} envs and this env has {self.envs.num_envs}; to go on with it pass a vector "
                    f"env of {columns}, an id or a callable (predict and evaluate work with any number)"
                )
            trainer.load_state(self._loaded)
            self._loaded = None
        return trainer

    def _run_folder(self, run: RunFolder | Path | str | None) -> RunFolder | None:
        if isinstance(run, RunFolder):
            self._home = run.path
            return run
        if self._home and (run is None or Path(run).resolve() == self._home.resolve()):
            return RunFolder.open(self._home)
        if run is None:
            return None
        folder = RunFolder.create(run, self.identity(), threads=self.threads)
        self._home = folder.path
        return folder

    def identity(self) -> dict[str, Any]:
        """What is needed to build the same agent again, as config.json and checkpoints hold it."""
        return {
            "algorithm": self.name,
            "config": dataclasses.asdict(self.learner.config),
            "env": self._env if isinstance(self._env, str) else None,
            "env_options": self._env_options,
            "vectorization": self._vectorization,
            "seed": self.seed,
            "custom_network": self._custom_network,
        }

    def _evaluation(self, episodes: int) -> dict[str, float]:
        # Fresh episodes each time: the best of many looks at the same ones would flatter.
        seed = self._trainer.step if self._trainer else 0
        best = self.evaluate(episodes, seed=seed)
        drawn = self.evaluate(episodes, seed=seed, deterministic=False)
        return {
            "eval/mean_reward": best.mean,
            "eval/std_reward": best.std,
            "eval/mean_ep_length": float(best.lengths.mean()),
            "eval/mean_reward_stochastic": drawn.mean,
        }

    def _make(self, env: EnvLike, num_envs: int | None) -> VectorEnv[Any, Any, Any]:
        # eval_env= may be an object where env= is an id, whose options are none of its business.
        options = {} if env is self._eval_env and not isinstance(env, str) else self._env_options
        return make_envs(env, num_envs, options, self._vectorization)

    def _make_eval(self, num_envs: int) -> VectorEnv[Any, Any, Any]:
        env = self._env if self._eval_env is None else self._eval_env
        if self._eval_env is None and not self._owns_envs:
            raise ConfigError(
                "evaluation must not disturb the env that is trained in: pass eval_env=, or make the agent "
                "from an env id or a callable"
            )
        return self._make(env, None if isinstance(env, gym.Env | VectorEnv) else num_envs)

    def _observation_space(self) -> gym.Space[Any]:
        env = self._env
        if isinstance(env, VectorEnv):
            return env.single_observation_space
        if isinstance(env, gym.Env):
            return env.observation_space
        probe = self._make(env, 1)
        space = probe.single_observation_space
        probe.close()
        return space


class PPO(Agent):
    """Proximal policy optimization; see :class:`hakisa_algos.learners.ppo.PPOConfig`."""

    algorithm = "ppo"


class A2C(Agent):
    """Advantage actor-critic; see :class:`hakisa_algos.learners.ppo.A2CConfig`."""

    algorithm = "a2c"


class REINFORCE(Agent):
    """Policy gradient without a baseline; see :class:`hakisa_algos.learners.ppo.REINFORCEConfig`."""

    algorithm = "reinforce"


class DQN(Agent):
    """Deep Q-learning from a replay buffer; see :class:`hakisa_algos.learners.dqn.DQNConfig`."""

    algorithm = "dqn"


class GA(Agent):
    """Genetic algorithm; see :class:`hakisa_algos.learners.ga.GAConfig`."""

    algorithm = "ga"


class PQN(Agent):
    """Deep Q-learning from rollouts of many envs; see :class:`hakisa_algos.learners.pqn.PQNConfig`."""

    algorithm = "pqn"


def config_from(config_class: type, values: Mapping[str, Any]) -> Any:
    """A config dataclass from plain values, as config.json or a checkpoint holds them.

    Raises:
        ConfigError: a name that the class does not have.
    """
    names = [field.name for field in dataclasses.fields(config_class)]
    for name in values:
        if name not in names:
            raise ConfigError(f"{config_class.__name__} has no option {name!r}.{did_you_mean(name, names)}")
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ConfigError(f"{name}={count!r} must be a whole number of at least 0, of env steps")


def _stored_env(path: Path, env: str | None, options: Mapping[str, Any]) -> str:
    if env is None:
        raise ConfigError(f"{path} was trained on an env object or a callable; pass it again as env=")
    why = why_not_from_file(env)
    if why:
        # A file must not choose what code runs.
        raise ConfigError(
            f"{path} names the env {env!r}, {why}, with options {dict(options)}. If you trust them, allow it: "
            f'env="{env}" in Python, --env {env} on the command line'
        )
    return env
