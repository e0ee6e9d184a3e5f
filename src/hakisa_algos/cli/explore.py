"""``hakisa explore RUN``: the agent plays, and its play is recorded as a person's is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse
from hakisa_algos.cli.text import command
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.run_folder import free_path
from hakisa_algos.training.stored_run import StoredRun, check_meaning

ABOUT = "The agent plays, and its play is recorded; nothing is learnt. Ctrl+C ends it, and what was recorded stays."


@dataclass(frozen=True)
class ExploreArguments:
    """See :func:`run`."""

    run: tyro.conf.Positional[Path]
    """The run's folder."""
    to: Path | None = None
    """A new folder; default: below ~/.local/share/hakisa/recordings."""
    minutes: float | None = None
    """Stop after so many."""
    episodes: int | None = None
    """Stop after so many."""
    deterministic: bool = False
    """The agent's best actions; else they are drawn as in training."""
    seed: int | None = None
    """Of the first episode."""
    env: str | None = None
    """Needed again for package:Id and live games, which a file alone must not start."""
    env_options: tuple[str, ...] | None = None
    """Other options of the env than in training, as key=value."""


def run(arguments: Sequence[str]) -> int:
    """Records, from the command line."""
    chosen = parse(ExploreArguments, arguments, "hakisa explore", ABOUT)
    if chosen.minutes is None and chosen.episodes is None:
        raise ConfigError("say how long: --minutes 10, or --episodes 20")
    if chosen.minutes is not None and not chosen.minutes > 0:
        raise ConfigError(f"--minutes {chosen.minutes:g} must be more than 0")
    if chosen.episodes is not None and chosen.episodes < 1:
        raise ConfigError(f"--episodes {chosen.episodes} must be at least 1")
    import gymnasium as gym

    from hakisa_algos.cli.record import recordings, say_nothing_recorded
    from hakisa_algos.stages.explore import explore

    options = None if chosen.env_options is None else key_values(chosen.env_options)
    stored = StoredRun.read(chosen.run)
    agent = Agent.load(stored, chosen.env, env_options=options)
    with contextlib.closing(agent):
        check_meaning(stored, agent.envs)
        identity = agent.identity()
        env = gym.make(identity["env"], disable_env_checker=True, **identity["env_options"])
        name = f"{chosen.run.name}-{time.strftime('%Y-%m-%d')}"
        folder = chosen.to or free_path(recordings() / name)
        print(f"{chosen.run} plays {identity['env']}, into {folder}", flush=True)
        with contextlib.closing(env):
            rows, returns = explore(
                agent,
                env,
                folder,
                deterministic=chosen.deterministic,
                seed=chosen.seed,
                seconds=None if chosen.minutes is None else 60 * chosen.minutes,
                episodes=chosen.episodes,
                say=lambda text: print(f"  {text}", flush=True),
            )
    if not rows:
        return say_nothing_recorded()
    mean = f", mean return {sum(returns) / len(returns):.4g}" if returns else ""
    print(f"\nRecorded {rows:,} rows; {len(returns)} episodes ended{mean}.")
    print(f"  look at it    {command('review', folder)}")
    return 0
