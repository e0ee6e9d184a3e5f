"""``hakisa play RUN``: shows an agent at play; with ``--learn`` it goes on learning meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse, parse_configured
from hakisa_algos.cli.session import report, train
from hakisa_algos.cli.text import bold
from hakisa_algos.cli.train import EVALUATIONS
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.run_folder import default_run_path
from hakisa_algos.training.stored_run import StoredRun, check_meaning
from hakisa_envs.contract import REAL_TIME

ABOUT = (
    "Show an agent at play, in a window or on the terminal: what it reads, does and expects. Nothing is learnt, unless "
    "you say --learn: then it goes on learning from what it plays. A clone begins a new run: of PPO, held to "
    "the clone while that plays better; of DQN, with --demonstrations. Another run goes on as by hakisa resume. "
    "Ctrl+C ends it, and no key stays pressed."
)


@dataclass(frozen=True)
class PlayArguments:
    """See :func:`run`."""

    learn: bool = False
    """Go on learning."""
    minutes: float | None = None
    """Stop after so many; without --learn."""
    episodes: int | None = None
    """Stop after so many; without --learn."""
    deterministic: bool = True
    """The agent's best actions; --no-deterministic draws them as in training. Without --learn."""
    rate: float | None = None
    """Steps per second, instead of the env's own; a live game has but that. Without --learn."""
    window: bool = True
    """Open a window for games that have none, if pygame is installed; else they are drawn on the terminal."""
    seed: int | None = None
    """Of the first episode; without --learn."""
    env: str | None = None
    """Needed again for package:Id and live games, which a file alone must not start."""
    env_options: tuple[str, ...] | None = None
    """Other options of the env than the run's, as key=value: display=nested"""
    demonstrations: tuple[Path, ...] = ()
    """With --learn, for dqn: recordings of a person, which a share of each batch is drawn from."""
    run: Path | None = None
    """With --learn: folder of the new run; default runs/RUN-play-SEED, numbered if there is one."""
    total_steps: int | None = None
    """With --learn: env steps of the whole run; short for --config.total-steps."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    """With --learn: how the run is run."""


def run(arguments: Sequence[str]) -> int:
    """Plays, from the command line."""
    if not arguments or arguments[0] in ("-h", "--help"):
        about = f"{ABOUT} With RUN its hyperparameters are listed too, as --config.NAME."
        parse(PlayArguments, arguments or ["--help"], "hakisa play RUN", about)
    if arguments[0].startswith("-"):
        raise ConfigError(f"the run's folder comes first, before {arguments[0]}: hakisa play runs/ppo-CartPole-v1-0")
    path = Path(arguments[0])
    stored = StoredRun.read(path)
    if stored.checkpoint is None:
        raise ConfigError(f"{path} has no checkpoint yet: nobody is there who could play")
    from hakisa_algos.stages.play import learn_config

    options = RunOptions.stored(stored.asked.get("options", {})).unlogged()
    chosen, config = parse_configured(
        PlayArguments(options=options),
        arguments[1:],
        f"hakisa play {path}",
        lambda chosen: (learn_config(stored, chosen.demonstrations), ABOUT),
    )
    given = None if chosen.env_options is None else key_values(chosen.env_options)
    if chosen.learn:
        return _learn(path, stored, chosen, config, given)
    _refuse(chosen, ("demonstrations", "run", "total_steps"), "goes with --learn")
    for name in ("minutes", "episodes", "rate"):
        value = getattr(chosen, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name} {value:g} must be more than 0")
    return _play(stored, chosen, given)


def _refuse(chosen: PlayArguments, names: Sequence[str], why: str) -> None:
    blank = PlayArguments()
    for name in names:
        if getattr(chosen, name) != getattr(blank, name):
            raise ConfigError(f"--{name.replace('_', '-')} {why}")


def _play(stored: StoredRun, chosen: PlayArguments, given: Mapping[str, Any] | None) -> int:
    from hakisa_algos.cli.play_view import seeing
    from hakisa_algos.stages.play import play

    agent = Agent.load(stored, chosen.env, env_options=given, num_envs=1)
    with contextlib.closing(agent):
        check_meaning(stored, agent.envs)
        identity = agent.identity()
        with contextlib.closing(_drawn(identity["env"], identity["env_options"])) as env:
            print(f"{bold(str(stored.path))} plays {identity['env']}, step {agent.steps:,}; Ctrl+C ends it", flush=True)
            with seeing(env, str(stored.path), chosen.window) as see:
                returns = play(
                    agent,
                    env,
                    see,
                    deterministic=chosen.deterministic,
                    seed=chosen.seed,
                    seconds=None if chosen.minutes is None else 60 * chosen.minutes,
                    episodes=chosen.episodes,
                    rate=chosen.rate,
                )
    mean = f", mean return {sum(returns) / len(returns):.4g}" if returns else ""
    print(f"\n{len(returns)} episodes ended{mean}.")
    return 0


def _drawn(env: str, options: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """One that can be drawn, if it can be; a game in real time is looked at where it is."""
    made = gym.make(env, disable_env_checker=True, **options)
    draws = "rgb_array" in made.metadata.get("render_modes", ()) and not made.metadata.get(REAL_TIME)
    if not draws or "render_mode" in options:
        return made
    made.close()
    return gym.make(env, disable_env_checker=True, render_mode="rgb_array", **options)


def _learn(path: Path, stored: StoredRun, chosen: PlayArguments, config: Any, given: Mapping[str, Any] | None) -> int:
    from hakisa_algos.cli.play_view import LearningView, shows
    from hakisa_algos.stages.play import learner

    _refuse(chosen, ("minutes", "episodes", "deterministic", "rate", "seed"), "goes without --learn")
    if chosen.total_steps is not None:
        config = dataclasses.replace(config, total_steps=chosen.total_steps)
    options = chosen.options
    how = {"device": options.device, "threads": options.threads}
    agent, new = learner(stored, config, chosen.env, given, chosen.demonstrations, **how)
    with contextlib.closing(agent):
        if chosen.run is not None and not new:
            raise ConfigError(f"--run {chosen.run}: {path} has learnt in its env already and goes on in its own folder")
        if agent.learner.facts().prior is not None and not options.evaluate_every:  # by evaluations its weight falls
            options = dataclasses.replace(options, evaluate_every=max(1, config.total_steps // EVALUATIONS))
        if agent.steps >= config.total_steps:
            raise ConfigError(f"{path} is finished, at step {agent.steps:,}: to go on, say --total-steps")
        folder = (chosen.run or default_run_path(path.resolve().name, "play", agent.seed)) if new else path
        if not shows(agent.envs.single_observation_space):
            train(agent, folder, options)
            return report(agent)
        watched: list[LearningView] = []

        def view(title: str, total: int) -> LearningView:
            watched.append(LearningView(title, total))
            return watched[-1]

        train(agent, folder, options, [lambda trainer, metrics: watched[-1].watch(trainer)], view)
        return report(agent)
