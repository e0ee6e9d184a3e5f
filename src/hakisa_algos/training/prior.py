"""Where a learner's prior comes from, and who tells it how well it, random play and the policy do."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.learner import Learner
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.learners.prior import Prior
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.training.evaluate import Evaluation, evaluate, metrics_of
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.stored_run import StoredRun, check_changes, check_meaning, fitted


def open_prior(path: Path | str | StoredRun, algorithm: str) -> StoredRun:
    """The run that ``prior=`` names.

    Raises:
        CheckpointError: there is nothing that can be loaded.
        ConfigError: it is of another algorithm, or has learnt nothing.
    """
    stored = path if isinstance(path, StoredRun) else StoredRun.read(path)
    if stored.before["algorithm"] != algorithm:
        raise ConfigError(
            f"prior={str(stored.path)!r} is a run of {stored.before['algorithm']}, and this is {algorithm}: pass a run "
            f"of {algorithm}, such as hakisa study RECORDING --for ppo writes"
        )
    if stored.checkpoint is None:
        raise ConfigError(f"prior={str(stored.path)!r} has no checkpoint yet; pass a run that has learnt something")
    return stored


def hold_to(learner: Any, stored: StoredRun | None, envs: VectorEnv[Any, Any, Any]) -> None:
    """Has a new learner begin from the policy of a run, if there is one, and be held to it.

    Raises:
        ConfigError: the learner takes none, or other spaces or another network than that run's.
    """
    if stored is None:
        return
    if not isinstance(learner, PPOLearner):
        raise ConfigError(f"prior= is for ppo, a2c and reinforce; {type(learner).__name__} has none: leave it out")
    own = {"config": dataclasses.asdict(learner.config), **fitted(envs)}
    try:
        check_changes(stored.before, {**stored.before, **own})
        check_meaning(stored, envs)
    except ConfigError as error:
        raise ConfigError(f"prior={str(stored.path)!r} does not fit: {error}") from error
    assert stored.checkpoint is not None
    learner.hold_to(stored.checkpoint.state["learner"]["policy"])


def check_evaluated(prior: Prior | None, options: RunOptions) -> None:
    """Refuses to run with a prior whose weight nothing would ever change."""
    if prior is not None and not options.evaluate_every:
        raise ConfigError(
            "with a prior there must be evaluations, by which its weight falls: set evaluate_every, such as 10_000"
        )


def evaluated(
    learner: Learner, envs: VectorEnv[Any, Any, Any], options: RunOptions, how: Mapping[str, Any]
) -> dict[str, float]:
    """What a run logs of an evaluation, by which its prior, if there is one, learns how well all play.

    Args:
        learner: whose policy plays.
        envs: to play in.
        options: of the run.
        how: more arguments of :func:`hakisa_algos.training.evaluate.evaluate`.
    """
    limits: dict[str, Any] = {"episodes": options.evaluate_episodes, "max_steps": options.evaluate_steps}
    play: Callable[..., Evaluation] = functools.partial(evaluate, envs=envs, **limits, **how)
    metrics = metrics_of(*(play(learner.policy, deterministic=best) for best in (True, False)))
    prior = learner.facts().prior
    if prior is None:
        return metrics
    if math.isnan(prior.clone_return):
        masked = bool(prior.policy.observation.mask_size)
        chance = RandomPolicy(envs.single_observation_space, envs.single_action_space, masked)
        chance.seed(how["seed"])
        clone, random = (play(each, deterministic=False).mean for each in (prior.policy, chance))
        prior.clone_return, prior.random_return = clone, random
    prior.now = metrics["eval/mean_reward_stochastic"]  # it is drawn actions that are held to it
    returns = {"eval/prior_reward": prior.clone_return, "eval/random_reward": prior.random_return}
    return metrics | returns | {"eval/prior_weight": prior.weight}
