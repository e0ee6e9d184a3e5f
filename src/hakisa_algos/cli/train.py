"""``hakisa train ALGORITHM --env ID``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from gymnasium import spaces

from hakisa_algos.agent import Agent
from hakisa_algos.cli.options import key_values, parse_configured
from hakisa_algos.cli.presets import preset_env
from hakisa_algos.cli.session import report, train
from hakisa_algos.cli.text import bold
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.data.vectorize import Vectorization, make_envs, why_not_from_file
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.registry import algorithms, find_algorithm
from hakisa_algos.training.demonstrations import SHARE
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.prior import open_prior
from hakisa_algos.training.run_folder import default_run_path
from hakisa_algos.training.stored_run import StoredRun

# Of a run with a prior, which asks for none itself.
EVALUATIONS = 40
_VECTORS: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (1,))


@dataclass(frozen=True)
class TrainArguments:
    """See :func:`run`."""

    env: str = ""
    """Env id: CartPole-v1, Hakisa/Pong-v0, or package:Id to import the package that registers it."""
    preset: str | None = None
    """Named hyperparameters to start from, where there are some: ppo and dqn have hakisa; ga small, hakisa, uber. Those
    of ppo called fighter, monsters and emerald-baseline bring their env and its options, where no others are given."""
    env_options: tuple[str, ...] = ()
    """Keyword arguments of the env, as key=value: frame_size=42 sticky=0.25"""
    seed: int = 0
    """Of everything random: the same seed gives the same weights on the same machine."""
    total_steps: int | None = None
    """Env steps of the whole run; short for --config.total-steps."""
    run: Path | None = None
    """Folder for everything that comes of it; default runs/ALGORITHM-ENV-SEED, numbered if there is one."""
    prior: Path | None = None
    """Of ppo, a2c and reinforce: a run, such as a clone, to begin from and to be held to while it plays better. Env and
    hyperparameters are then its own, unless others are given."""
    demonstrations: tuple[Path, ...] = ()
    """Of dqn: recordings that a share of each batch is drawn from (--config.demonstration-share). The env is then
    theirs, unless it is given, as it must be for live games."""
    vectorization: Vectorization = "auto"
    """How envs are stepped together: in turn (sync), in processes (async), or by the env's own vector env."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)
    """How the run is run; config.json keeps it."""


def run(arguments: Sequence[str]) -> int:
    """Trains, from the command line; the exit status says which signal stopped it, if one did."""
    arguments = list(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    name = arguments[0]
    if name.startswith("-"):
        raise ConfigError(f"the algorithm comes first, before {name}: hakisa train ppo --env CartPole-v1")
    chosen, config = parse_configured(
        TrainArguments(), arguments[1:], f"hakisa train {name}", lambda chosen: _defaults(name, chosen)
    )
    prior = _prior(name, chosen)
    env, env_options = _env(chosen, prior)
    if not env:
        raise ConfigError(f"--env is missing: hakisa train {name} --env CartPole-v1")
    if chosen.total_steps is not None:
        config = dataclasses.replace(config, total_steps=chosen.total_steps)
    options = chosen.options
    if prior is not None and not options.evaluate_every:  # by evaluations its weight falls
        options = dataclasses.replace(options, evaluate_every=max(1, config.total_steps // EVALUATIONS))
    agent = Agent(
        env,
        config,
        algorithm=name,
        seed=chosen.seed,
        device=chosen.options.device,
        threads=chosen.options.threads,
        env_options=env_options,
        vectorization=chosen.vectorization,
        prior=prior,
        demonstrations=_demonstrations(chosen, env, env_options),
    )
    try:
        train(agent, chosen.run or default_run_path(name, env, chosen.seed), options)
        return report(agent)
    finally:
        agent.close()


def _prior(name: str, chosen: TrainArguments) -> StoredRun | None:
    if chosen.prior is None:
        return None
    if chosen.preset is not None:
        raise ConfigError(f"--preset {chosen.preset} does not go with --prior, whose hyperparameters count: give one")
    return open_prior(chosen.prior, name)


def _demonstrations(chosen: TrainArguments, env: str, env_options: Mapping[str, Any]) -> StoredRows | None:
    if not chosen.demonstrations:
        return None
    from hakisa_algos.stages.demonstrations import check_game, demonstrations
    from hakisa_algos.stages.recording import Recording

    recordings = [Recording.open(path) for path in chosen.demonstrations]
    check_game(recordings, env, env_options)
    return demonstrations(recordings)


def _env(chosen: TrainArguments, prior: StoredRun | None) -> tuple[str, dict[str, Any]]:
    """The env and its options: those that are given, else those of the prior or of the demonstrations."""
    env, given = preset_env(chosen.preset, chosen.env, key_values(chosen.env_options))
    if env:
        return env, given
    if prior is not None:
        return prior.env(), {**prior.asked["env_options"], **given}
    if not chosen.demonstrations:
        return "", given
    from hakisa_algos.stages.recording import Recording

    facts = Recording.open(chosen.demonstrations[0]).facts
    env, options = facts["env"], dict(facts.get("env_options", {}))
    why = why_not_from_file(env)
    if why:  # a file must not choose what code runs
        raise ConfigError(
            f"{chosen.demonstrations[0]} was recorded of {env}, {why}, with the options {options}. If you trust them, "
            f"allow it: --env {env} --env-options KEY=VALUE"
        )
    return env, {**options, **given}


def _defaults(name: str, chosen: TrainArguments) -> tuple[Any, str]:
    learner, space = find_algorithm(name), _VECTORS
    prior = _prior(name, chosen)
    if prior is not None:
        return (
            prior.config(),
            f"Train {name} on from {chosen.prior}, whose hyperparameters are the defaults of --config.",
        )
    env, env_options = _env(chosen, None)
    if env:
        envs = make_envs(env, 1, env_options, chosen.vectorization)
        envs.close()
        space = envs.single_observation_space
    config = learner.default_config(space, chosen.preset)
    if chosen.demonstrations and hasattr(config, "demonstration_share"):
        config = dataclasses.replace(config, demonstration_share=SHARE)
    whose = env or "vectors; name an --env to see those for it"
    if chosen.preset is not None:
        whose = f"the preset {chosen.preset}"
    return config, f"Train {name} on an env. The defaults of --config shown here are those for {whose}."


def _help() -> str:
    names = "\n".join(f"  {bold(f'hakisa train {name}')} --env ID" for name in algorithms())
    return f"Train an algorithm on an env:\n\n{names}\n\nhakisa train ALGORITHM --env ID --help lists the options."
