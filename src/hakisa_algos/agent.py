"""The user's face of it all: ``PPO("CartPole-v1", seed=1).learn(100_000)``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from hakisa_algos.data.contract import stored_option
from hakisa_algos.data.masks import check_final_masks, decided
from hakisa_algos.data.rollout import Relabel, RolloutBuffer
from hakisa_algos.data.stored import StoredRows, check_relabel
from hakisa_algos.data.vectorize import EnvLike, Vectorization, make_envs
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import changed, check_arguments, check_seed, is_callback, listed
from hakisa_algos.learners.validation import config_from as config_from
from hakisa_algos.policy.networks import NetworkFactory
from hakisa_algos.policy.policy import State
from hakisa_algos.policy.precision import make_repeatable, resolve_device, resolve_threads, torch_threads
from hakisa_algos.policy.prediction import predict
from hakisa_algos.policy.q_network import QNetwork
from hakisa_algos.training.checkpoint import Checkpoint, Checkpoints
from hakisa_algos.training.demonstrations import keep, recommended, restore, show
from hakisa_algos.training.evaluate import Evaluation, evaluate, evaluation_envs, is_evaluated_in
from hakisa_algos.training.metrics import Sink
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.prior import check_evaluated, evaluated, hold_to, open_prior
from hakisa_algos.training.run_folder import RunFolder, check_installed
from hakisa_algos.training.stored_run import NO_RELABEL, StoredRun, check_changes, differences, fitted, take_over
from hakisa_algos.training.trainer import Callback, Trainer, View


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
        prior: for PPO, a run to begin from and to be held to while it plays better, such as a clone (docs/stages.md).
        demonstrations: for DQN, rows of somebody's play, as :func:`hakisa_algos.data.dataset.open_rows` opens them.

    Attributes:
        options: how :meth:`learn` runs it, unless it is told otherwise.
        run_folder: where its run writes to; None if nowhere.

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
        prior: Path | str | StoredRun | None = None,
        demonstrations: RolloutBuffer | StoredRows | None = None,
        **unknown: Any,
    ) -> None:
        name = algorithm or self.algorithm
        if name is None:
            raise ConfigError('Agent needs algorithm=, such as "ppo"; or use PPO, A2C or REINFORCE')
        learner_class = find_algorithm(name)
        check_arguments(name, learner_class.config_class, env, config, unknown)
        self.name = name
        clone = None if prior is None else open_prior(prior, name)
        self.seed = check_seed(seed)
        self.options = RunOptions(device=device, threads=threads)
        self._env, self._eval_env = env, eval_env
        self._env_options = dict(env_options or {})
        self._vectorization: Vectorization = vectorization
        self._custom_network = network is not None
        self._owns_envs = not isinstance(env, gym.Env | VectorEnv)
        source = None
        if config is None or getattr(config, "action_masks", False) is not False:
            # An env of its own to look at; where envs were given, those.
            probing = closing(self._make(env, 1)) if self._owns_envs else nullcontext(self._make(env, None))
            with probing as probe:
                if config is None:
                    space = probe.single_observation_space
                    config = recommended(learner_class, space, clone, demonstrations is not None)
                if hasattr(config, "action_masks"):
                    source = decided(config.action_masks, probe, own=self._owns_envs)
                    config = dataclasses.replace(config, action_masks=source is not None)
        self.envs = self._make(env, config.num_envs if self._owns_envs else None)
        config = dataclasses.replace(config, num_envs=self.envs.num_envs)
        space = self.envs.single_observation_space
        self.device = resolve_device(device, space)
        make_repeatable(self.device)
        self.threads = resolve_threads(threads, space)
        how: dict[str, Any] = {"num_envs": self.envs.num_envs, "seed": self.seed, "device": self.device}
        self.learner = learner_class(space, self.envs.single_action_space, config, network=network, **how)
        hold_to(self.learner, clone, self.envs)
        show(self.learner, demonstrations, self.envs)
        if source == "method" and isinstance(self.policy, QNetwork):
            check_final_masks(self.envs, name)
        self.run_folder: RunFolder | None = None
        self._trainer: Trainer | None = None
        self._loaded: Checkpoint | None = None
        self._recorded: Mapping[str, Any] | None = None  # the identity that checkpoint or config.json told last
        self._relabel: Relabel | None = None
        self._lacks_relabel = False  # its run was trained with one

    @property
    def config(self) -> Any:
        """The hyperparameters in use."""
        return self.learner.config

    @property
    def steps(self) -> int:
        """Env steps of the run so far."""
        if self._trainer is not None:
            return self._trainer.step
        return int(self._loaded.state["step"]) if self._loaded is not None else 0

    @property
    def stopped_by(self) -> str | None:
        """Why the last :meth:`learn` came back early: ``"SIGINT"``, another signal, ``"callback"``, ...; or None."""
        return self._trainer.stopped_by if self._trainer is not None else None

    @property
    def mean_return(self) -> float:
        """Of the last training episodes; NaN before the first has ended."""
        return self._trainer.statistics.mean_return if self._trainer is not None else float("nan")

    @property
    def policy(self) -> Any:
        """What acts."""
        return self.learner.policy

    def learn(
        self,
        total_steps: int | None = None,
        *,
        run: Path | str | None = None,
        options: RunOptions | None = None,
        callbacks: Callback | Sequence[Callback] = (),
        sinks: Sink | Sequence[Sink] = (),
        view: View | None = None,
        relabel: Relabel | Literal[False] | None = None,
        **changes: Any,
    ) -> Self:
        """Trains until the run has ``total_steps`` env steps in all; a second call goes on where the first stopped.

        SIGINT, SIGTERM and SIGHUP save and stop it; what an env or a callback raises is raised after what was learned
        is saved (see :meth:`hakisa_algos.training.trainer.Trainer.train`).

        Args:
            total_steps: length of the whole run; default ``config.total_steps``. Schedules end with it.
            run: see :meth:`start_run`.
            options: see :meth:`start_run`.
            callbacks: ``(trainer, metrics)`` after every update, one or several; what returns False stops the run, and
                what is added to the metrics is logged with them.
            sinks: more places for metrics, one or several.
            view: shows the run.
            relabel: gives the rewards that are learned from, in place of the env's; see
                :class:`hakisa_algos.data.rollout.RolloutBuffer`. None: as before; a run that was loaded needs it
                again. False: the env's own from now on.
            changes: fields of :class:`hakisa_algos.training.options.RunOptions`, such as ``evaluate_every=10_000``.

        Returns:
            The agent itself.
        """
        check_relabel(relabel, self.name, self.learner.facts().keep_observations)
        callbacks = listed(callbacks, "callbacks", "a function (trainer, metrics), which may return False", is_callback)
        sinks = listed(sinks, "sinks", "something with write(step, metrics) and close()", lambda x: hasattr(x, "write"))
        if total_steps is not None:
            self.learner.config = dataclasses.replace(self.learner.config, total_steps=total_steps)
        if relabel is not None:
            self._relabel, self._lacks_relabel = None if relabel is False else relabel, False
        folder = self.start_run(run, options, **changes)
        with folder.lock if folder else nullcontext():
            trainer = self._trainer = self._trainer or self._build_trainer()
            trainer.options, trainer.identity = self.options, self.identity()
            trainer.checkpoints = folder.checkpoints if folder else None
            trainer.evaluation = self._evaluation if self.options.evaluate_every else None
            trainer.callbacks, trainer.view = callbacks, view
            trainer.buffer.relabel = self._relabel
            opened = folder.sinks(self.options, trainer.step) if folder else nullcontext(())
            with opened as own, torch_threads(self.threads):
                trainer.sinks = [*own, *sinks]
                trainer.train()
        return self

    def start_run(
        self, run: Path | str | None = None, options: RunOptions | None = None, **changes: Any
    ) -> RunFolder | None:
        """Makes the folder of a run, or notes in this agent's own what is otherwise now; :meth:`learn` does it too.

        Args:
            run: folder for metrics and checkpoints, which must not exist yet unless it is this agent's own;
                default: its own, where it was loaded from or began in one, else nothing is written.
            options: how the run is run; default: as before.
            changes: fields of them that are otherwise.

        Raises:
            ConfigError: an option that there is not, or that cannot be; a run that needs its ``relabel`` again.
            RunFolderError: the folder exists, or somebody else trains in it (from here to the end of :meth:`learn`
                it is this agent's alone), or did since this agent was loaded.
            MissingExtraError: the options ask for a package that is not installed.
        """
        if self._lacks_relabel:
            raise ConfigError(NO_RELABEL)
        options = changed(options or self.options, changes)
        if options.device not in ("auto", self.options.device):
            raise ConfigError(
                f"device={options.device!r} comes too late, since this agent is on {self.device} already; give device= "
                "where it is made or loaded"
            )
        check_evaluated(self.learner.facts().prior, options)
        own = is_evaluated_in(self.envs, self._env, self._eval_env) if options.evaluate_every else True
        if not own and not (self._eval_env is None and isinstance(self._env, str)):
            with self._evaluation_envs(1):  # what is wrong with it is said now, and not at the first evaluation
                pass
        check_installed(options)
        threads, home = options.threads or self.options.threads, self.run_folder
        self.options = dataclasses.replace(options, device=self.options.device, threads=threads)
        self.threads = resolve_threads(threads, self.envs.single_observation_space)
        if run is not None and (home is None or home.discarded or Path(run).resolve() != home.path.resolve()):
            self.run_folder = RunFolder.create(run, self.identity(), threads=self.threads)
        if self.run_folder is None:
            if self.options.tensorboard or self.options.wandb != "off":
                raise ConfigError("tensorboard and wandb write into a run folder: say which by run=")
            return None
        take_over(self.run_folder, self._loaded)
        keep(self.learner, self.run_folder.path)
        now = self.identity()
        new = [{"step": self.steps} | change for change in differences(self._recorded or now, now)]
        if new:
            self.run_folder.record(now, new)
        self._recorded = now
        return self.run_folder

    def predict(
        self,
        observation: Any,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
        action_mask: Any = None,
    ) -> tuple[Any, State]:
        """Actions for one observation or a batch of them, as NumPy; like SB3's ``predict``.

        Args:
            observation: as the env gives it, with or without a batch axis.
            state: what the last call returned; None at first.
            episode_start: bool ``[n]``: where an episode begins with this observation; default: everywhere at
                first, then nowhere.
            deterministic: the best action; False draws one as in training.
            action_mask: what is allowed, as the env says it (docs/masks.md), with a batch axis where the observation
                has one; None, for all or for one of them: everything.

        Returns:
            The action or the batch of actions, and the state for the next call.
        """
        with torch_threads(self.threads):
            space = self.envs.single_action_space
            return predict(
                self.policy, space, self.device, observation, state, episode_start, deterministic, action_mask
            )

    def evaluate(
        self,
        episodes: int = 20,
        *,
        seed: int = 0,
        deterministic: bool = True,
        num_envs: int | None = None,
        max_steps: int | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Evaluation:
        """Plays whole episodes in envs of their own, on seeds that training does not see.

        Where there can be no other env (``metadata["exclusive"]``), the episodes that are running end as truncated.

        Args:
            episodes: how many.
            seed: of the evaluation.
            deterministic: the policy's best actions; False draws them.
            num_envs: how many at a time; default the training's number, at most ``episodes``.
            max_steps: after which an episode is cut; default: where the env cuts it itself, else 30,000.
            progress: told every few seconds how far it is, in words.
        """
        with self._evaluation_envs(min(episodes, num_envs or self.envs.num_envs)) as envs:
            return evaluate(
                self.policy,
                envs,
                episodes=episodes,
                seed=seed,
                deterministic=deterministic,
                device=self.device,
                max_steps=max_steps,
                progress=progress,
            )

    def save(self, path: Path | str) -> Path:
        """Writes a checkpoint into the folder ``path`` and returns where it lies; :meth:`load` takes either."""
        keep(self.learner, Path(path))
        with closing(Checkpoints(Path(path))) as checkpoints:
            if self._trainer is not None:
                self._trainer.options, self._trainer.identity = self.options, self.identity()
                return self._trainer.save_into(checkpoints)
            before = self._loaded
            state = (before.state if before else {"step": 0}) | {"learner": self.learner.state()}
            return checkpoints.save(state | {"identity": self.identity()}, stored=before.rows if before else None)

    @classmethod
    def load(
        cls,
        path: Path | str | StoredRun,
        env: EnvLike | None = None,
        *,
        config: Any = None,
        num_envs: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        network: NetworkFactory | None = None,
        env_options: Mapping[str, Any] | None = None,
        vectorization: Vectorization | None = None,
        eval_env: EnvLike | None = None,
    ) -> Self:
        """The agent of a run folder, a checkpoints folder or one checkpoint; :meth:`learn` goes on with its run.

        What config.json of a run folder says counts, so that it may be edited. Nothing can be changed that the weights
        depend on. With another number of envs the running episodes end as truncated. A run that was ended before its
        first checkpoint begins anew.

        Args:
            path: where it lies, or what was read there.
            env: needed if it was trained on an env object, a callable, or an id that names a module.
            config: other hyperparameters to go on with: all of them, or a mapping of those that change.
            num_envs: short for that one of them.
            device: where to put it; default: as config.json or the checkpoint says.
            threads: likewise.
            network: needed if it was trained with one.
            env_options: default: those it was trained with.
            vectorization: default: as it was trained.
            eval_env: for evaluation, where ``env`` is an env object.

        Raises:
            CheckpointError: nothing that can be loaded, or of another algorithm.
            ConfigError: ``env`` or ``network`` is needed or does not fit, or a change that cannot be.
        """
        stored = path if isinstance(path, StoredRun) else StoredRun.read(path)
        path, before, asked = stored.path, stored.before, stored.asked
        name = before["algorithm"]
        if cls.algorithm not in (None, name):
            raise CheckpointError(f"{path} holds algorithm {name!r}, not {cls.algorithm!r}; use Agent.load")
        if before["custom_network"] and network is None:
            raise ConfigError(f"{path} was trained with a network of your own; pass it again as network=")
        config, env = stored.config(config, num_envs), stored.env() if env is None else env
        options = RunOptions.stored(asked.get("options", {})).unlogged()
        device = options.device if device is None else device
        threads = options.threads if threads is None else threads
        agent = cls(
            env,
            config,
            algorithm=name,
            seed=before["seed"],
            device=device,
            threads=threads,
            network=network,
            env_options=asked["env_options"] if env_options is None and isinstance(env, str) else env_options,
            vectorization=vectorization or asked["vectorization"],
            eval_env=eval_env,
        )
        try:
            agent.options = dataclasses.replace(options, device=device, threads=threads)
            check_changes(before, agent.identity())
            restore(agent.learner, stored)
            if stored.checkpoint is not None:
                agent.learner.load_state(stored.checkpoint.state["learner"])
        except (RuntimeError, KeyError, ValueError) as error:
            agent.close()
            if isinstance(error, ConfigError | CheckpointError):
                raise
            raise ConfigError(f"the weights in {path} do not fit this env or network: {error}") from error
        agent.run_folder, agent._loaded, agent._recorded = stored.folder, stored.checkpoint, before
        agent._lacks_relabel = bool(asked.get("relabel"))
        return agent

    def close(self) -> None:
        """Closes the envs that this agent made, and lets go of its run folder."""
        if self.run_folder is not None:
            self.run_folder.lock.release()
        if self._owns_envs:
            self.envs.close()

    def identity(self) -> dict[str, Any]:
        """What is needed to build the same agent again and to go on, as config.json and checkpoints hold it."""
        return {
            "algorithm": self.name,
            "config": dataclasses.asdict(self.learner.config),
            "env": self._env if isinstance(self._env, str) else None,
            "env_options": stored_option(self._env_options),
            "vectorization": self._vectorization,
            "seed": self.seed,
            "custom_network": self._custom_network,
            "relabel": self._relabel is not None or self._lacks_relabel,
            **fitted(self.envs),
            "options": dataclasses.asdict(self.options),
        }

    def _build_trainer(self) -> Trainer:
        again = functools.partial(make_envs, self._env, self.envs.num_envs, self._env_options, self._vectorization)
        how: dict[str, Any] = {
            "seed": self.seed,
            "device": self.device,
            "make_envs": again if self._owns_envs else None,
        }
        trainer = Trainer(self.learner, self.envs, self.options, **how)
        if self._loaded is not None and "collector" in self._loaded.state:  # else it was saved before it learned
            trainer.identity = self.identity()
            trainer.load_state(self._loaded.state, self._loaded.rows)
        self._loaded = None
        return trainer

    def _evaluation(self, stop: Callable[[], bool]) -> Mapping[str, float]:
        options, say = self.options, self._trainer.say if self._trainer else None
        with self._evaluation_envs(min(options.evaluate_episodes, self.envs.num_envs)) as envs:
            # Fresh episodes each time: the best of many looks at the same ones would flatter.
            how = {"seed": self.steps, "device": self.device, "stop": stop, "progress": say}
            return evaluated(self.learner, envs, options, how)

    def _make(self, env: EnvLike, num_envs: int | None) -> VectorEnv[Any, Any, Any]:
        # eval_env= may be an object where env= is an id, whose options are none of its business.
        options = {} if env is self._eval_env and not isinstance(env, str) else self._env_options
        return make_envs(env, num_envs, options, self._vectorization)

    @contextmanager
    def _evaluation_envs(self, num_envs: int) -> Iterator[VectorEnv[Any, Any, Any]]:
        lend = self._trainer.collector.lend if self._trainer else None
        lent = evaluation_envs(self.envs, self._env, self._eval_env, self._make, num_envs, lend)
        with lent as envs, torch_threads(self.threads):
            yield envs


class PPO(Agent):
    """Proximal policy optimization; see :class:`hakisa_algos.learners.ppo_config.PPOConfig`."""

    algorithm = "ppo"


class A2C(Agent):
    """Advantage actor-critic; see :class:`hakisa_algos.learners.ppo_config.A2CConfig`."""

    algorithm = "a2c"


class REINFORCE(Agent):
    """Policy gradient without a baseline; see :class:`hakisa_algos.learners.ppo_config.REINFORCEConfig`."""

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
