"""Demonstrations of a run: given once, kept in its folder, and named by their hash in its checkpoints."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.contract import FRAME_STACK, declared
from hakisa_algos.data.dataset import copy_rows, open_rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import check_layout
from hakisa_algos.data.stored import StoredRows
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.demonstrations import held, state_of
from hakisa_algos.learners.dqn import DQNLearner
from hakisa_algos.training.stored_run import StoredRun

FOLDER = "demonstrations"
# Of each batch, where the hyperparameters are those that are recommended.
SHARE = 0.25


def recommended(learner: Any, space: spaces.Space[Any], prior: StoredRun | None, demonstrated: bool) -> Any:
    """The hyperparameters of an agent that was given none."""
    config = learner.default_config(space) if prior is None else prior.config()
    return dataclasses.replace(config, demonstration_share=SHARE) if demonstrated and learner is DQNLearner else config


def show(learner: Any, rows: RolloutBuffer | StoredRows | None, envs: VectorEnv[Any, Any, Any]) -> None:
    """Gives a new learner its demonstrations, if there are some.

    Raises:
        ConfigError: the learner takes none, or would draw none.
        CheckpointError: they are of other observations or actions; it names their folder.
    """
    if rows is None:
        return
    if not isinstance(learner, DQNLearner):
        raise ConfigError(f"demonstrations= is for dqn; {type(learner).__name__} draws from none: leave it out")
    if not learner.config.demonstration_share:
        raise ConfigError(f"demonstration_share=0 would draw no demonstrations: set it to more, such as {SHARE}")
    layout = learner.policy.observation
    stack = FrameStack.of(declared(envs, FRAME_STACK), layout.raw_space, layout.space)
    like = RolloutBuffer(1, 1, layout, stack)
    like.action_space = envs.single_action_space
    where = rows.series if isinstance(rows, StoredRows) else held(state_of(rows)).series
    for one in where:
        check_layout(one.segments[0].path, one.layout, like.layout)
    learner.demonstrate(rows)


def keep(learner: Any, folder: Path) -> None:
    """Copies demonstrations into a folder, unless they lie there; checkpoints then hold their hash alone.

    Raises:
        ConfigError: others lie there.
    """
    rows = learner.demonstrations if isinstance(learner, DQNLearner) else None
    if rows is None:
        return
    place = folder / FOLDER
    if not place.exists():
        copy_rows(place, rows)
    sha256 = digest(open_rows(place))
    if learner.demonstrations_sha256 not in (None, sha256):
        raise ConfigError(f"other demonstrations than this agent's lie in {place}; choose another folder")
    learner.demonstrate(rows, sha256=sha256)


def restore(learner: Any, stored: StoredRun) -> None:
    """Gives a learner those that lie with the run that it was loaded from; the others are in the checkpoint itself.

    Raises:
        CheckpointError: they are missing, or not those that the checkpoint names.
    """
    state = {} if stored.checkpoint is None else stored.checkpoint.state["learner"].get("demonstrations")
    if not isinstance(state, dict) or "sha256" not in state:
        return
    assert stored.checkpoint is not None
    home = stored.checkpoint.path.resolve().parent
    place = (home.parent if home.name == "checkpoints" else home) / FOLDER
    if not place.exists():
        raise CheckpointError(f"{place} is missing, where the demonstrations of this run lay; put it back")
    rows = open_rows(place)
    if digest(rows) != state["sha256"]:
        raise CheckpointError(f"{place} does not hold the demonstrations that {stored.checkpoint.path} names")
    learner.demonstrate(rows, sha256=state["sha256"])


def digest(rows: StoredRows) -> str:
    """One hash of all files; none of them is read."""
    names = [segment.sha256 for one in rows.series for segment in one.segments]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
