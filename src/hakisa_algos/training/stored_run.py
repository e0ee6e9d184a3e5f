"""A run or an agent on disk, what is asked of whoever loads it, and what may be changed when it goes on."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from hakisa_algos.data.contract import MEANING, declared, other_meaning
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.errors import CheckpointError, ConfigError, RunFolderError, did_you_mean
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import changed, config_from
from hakisa_algos.training.checkpoint import Checkpoint, find_checkpoint, is_empty, load_checkpoint
from hakisa_algos.training.run_folder import RunFolder

_WEIGHTS = "the weights of the run would not fit"
# What cannot be changed, and why. Names with a dot are entries of a mapping.
_FIXED = {
    "algorithm": "what one algorithm has learned is of no use to another",
    "seed": "what is random in the run goes on from its checkpoint",
    "custom_network": _WEIGHTS,
    "config.network": _WEIGHTS,
    "config.hidden_sizes": _WEIGHTS,
    "config.activation": "the weights of the run were learned with the other",
    "config.layer_norm": _WEIGHTS,
    "config.dueling": _WEIGHTS,
    "config.normalize_observation": "the weights of the run were learned with what the network saw so far",
    "config.memory": _WEIGHTS,
    "config.own_critic": _WEIGHTS,
    "config.memory_size": _WEIGHTS,
    "config.action_masks": "the weights of the run were learned, and its rows stored, as it was",
    "config.optimizer": "the run has the state of the other optimizer",
}
NO_RELABEL = (
    "this run was trained with relabel=, which no file holds: pass it to learn() again, or relabel=False to learn from "
    'the env\'s own rewards; for hakisa resume, put "relabel": false into its config.json'
)
_OF_THE_FOLDER = ("run_id", "changes")
_NEEDED = ("algorithm", "config", "env", "env_options", "vectorization", "seed", "custom_network")
_NESTED = ("config", "options", "env_options")


@dataclass(frozen=True)
class StoredRun:
    """What lies at a path.

    Attributes:
        path: a run folder, a checkpoints folder, one checkpoint, or a pointer to one.
        folder: the run folder, if it is one.
        checkpoint: from which it goes on; None: it was ended before its first one, and begins anew.
        before: the identity of the agent that wrote it (:meth:`hakisa_algos.agent.Agent.identity`).
        asked: the same, but for what config.json says otherwise: it may have been edited.
    """

    path: Path
    folder: RunFolder | None
    checkpoint: Checkpoint | None
    before: Mapping[str, Any]
    asked: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path | str, *, of_a_run: bool = False) -> StoredRun:
        """What lies at ``path``, but no stored rows; ``of_a_run``: it must be a run folder.

        Raises:
            CheckpointError: nothing that can be loaded, or of no agent.
            RunFolderError: its config.json is damaged, or it should be a run folder and has none.
            ConfigError: its config.json has a key that it should not have.
        """
        path = Path(path)
        folder = RunFolder.open(path) if of_a_run or (path / "config.json").is_file() else None
        checkpoint = None
        if folder is None or not is_empty(folder.checkpoints):
            checkpoint = load_checkpoint(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
            before = checkpoint.state.get("identity", {})
        else:
            before = {name: value for name, value in folder.config.items() if name not in _OF_THE_FOLDER}
        missing = [name for name in _NEEDED if name not in before]
        if missing:
            raise CheckpointError(f"{path} names no {missing[0]}; pass a folder that a run or an agent's save() wrote")
        # As it was before there were any.
        later = {"action_masks": False, "own_critic": False, "freeze_normalizer": False}
        known = {n: v for n, v in later.items() if hasattr(find_algorithm(before["algorithm"]).config_class, n)}
        before = {**before, "config": known | before["config"]}
        return cls(path, folder, checkpoint, before, _asked(folder, before) if folder else before)

    def config(self, changes: Any = None, num_envs: int | None = None) -> Any:
        """The hyperparameters to go on with; ``changes`` are all of them, or a mapping of those that change."""
        config = changes
        if not dataclasses.is_dataclass(config):
            values = self.asked["config"] | dict(changes or {})
            config = config_from(find_algorithm(self.before["algorithm"]).config_class, values)
        if getattr(config, "action_masks", None) == "auto":  # it was found out when the run began
            config = changed(config, {"action_masks": self.before["config"]["action_masks"]})
        if num_envs is not None:
            config = changed(config, {"num_envs": num_envs})
        check_changes(self.before, {**self.asked, "config": dataclasses.asdict(config)})
        return config

    def env(self) -> str:
        """The env's id, unless it has none, or one that a file must not choose."""
        env, options = self.asked["env"], self.asked["env_options"]
        if not isinstance(env, str):
            raise ConfigError(f"{self.path} was trained on an env object or a callable; pass it again as env=")
        why = why_not_from_file(env)
        if why:
            # A file must not choose what code runs.
            raise ConfigError(
                f"{self.path} names the env {env!r}, {why}, with options {dict(options)}. If you trust them, allow it: "
                f'env="{env}" in Python, --env {shlex.quote(env)} on the command line'
            )
        return env


def take_over(folder: RunFolder, loaded: Checkpoint | None) -> None:
    """Takes the lock of a run folder, for who goes on from ``loaded`` (None: from nothing, or from memory).

    Raises:
        RunFolderError: somebody else trains in it, or did since that was loaded.
        CheckpointError: the rows that belong to it are damaged.
    """
    folder.lock.acquire()
    try:
        if loaded is not None and loaded.path.parent.resolve() == folder.checkpoints.resolve():
            latest = find_checkpoint(folder.checkpoints)
            if latest.name != loaded.path.name:
                raise RunFolderError(f"{folder.path} has gone on since it was loaded, to {latest.name}: load it again")
            loaded.rows  # noqa: B018 (it looks at the files)
    except BaseException:
        folder.lock.release()
        raise


def _asked(folder: RunFolder, before: Mapping[str, Any]) -> dict[str, Any]:
    where = folder.path / "config.json"
    told = {name: value for name, value in folder.config.items() if name not in _OF_THE_FOLDER}
    for name, value in told.items():
        if name not in (*before, "options", "relabel", MEANING):  # which older checkpoints do not have
            raise ConfigError(f"{where} has {name!r}.{did_you_mean(name, before)}")
        if isinstance(before.get(name), Mapping) and not isinstance(value, Mapping):
            raise ConfigError(f'"{name}" in {where} is {value!r}; it must be an object')
    # What was left out of it is as it was.
    return {**before, **told, "config": before["config"] | told.get("config", {})}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What two identities of an agent (:meth:`hakisa_algos.agent.Agent.identity`) differ in.

    Each ``field``, such as ``"seed"`` or ``"config.gamma"``, with its values ``from`` and ``to``.
    """
    old, new = _flat(before), _flat({key: after[key] for key in before if key in after})
    return [
        {"field": name, "from": old.get(name), "to": new.get(name)}
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def same_env(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the envs of two identities are made alike, as far as one can know."""
    return not any(change["field"].partition(".")[0] in ("env", "env_options") for change in differences(before, after))


def check_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuses what cannot be changed in a run, and says why."""
    for change in differences(before, after):
        if change["field"] == "spaces":
            raise ConfigError(
                f"this env does not fit: the agent was trained on {change['from']}, and it has {change['to']} (spaces "
                f"cannot be changed: {_WEIGHTS}); pass an env with those spaces, or start a new run"
            )
        if change["field"] in _FIXED:
            raise ConfigError(
                f"{change['field']} cannot be changed from {change['from']!r} to {change['to']!r} in a run that has "
                f"begun: {_FIXED[change['field']]}; leave it as it was, or start a new run"
            )


def check_meaning(stored: StoredRun, envs: VectorEnv[Any, Any, Any] | gym.Env[Any, Any]) -> None:
    """Refuses an env whose actions or pictures mean something else than those that a run has learned with.

    Raises:
        ConfigError: names what, and both values.
    """
    other = other_meaning(stored.before.get(MEANING), declared(envs, MEANING))
    if other is not None:
        name, was, now = other
        raise ConfigError(
            f"{stored.path} has learned with {name} {was}, and this env has {now}: what it does, or sees, would mean "
            "something else; put the profile or the options back as they were, or let another run learn with these"
        )


def fitted(envs: VectorEnv[Any, Any, Any]) -> dict[str, Any]:
    """What an identity says of envs: the spaces, which must stay, and what actions and pictures mean."""
    kinds = {"observation": envs.single_observation_space, "action": envs.single_action_space}
    return {"spaces": {kind: describe(space) for kind, space in kinds.items()}, MEANING: declared(envs, MEANING)}


def describe(space: spaces.Space[Any]) -> Any:
    """A space as an identity holds it: what must be the same for a network to fit, which bounds need not."""
    if isinstance(space, spaces.Dict):
        return {name: describe(entry) for name, entry in space.items()}
    return f"Box({space.shape}, {space.dtype})" if isinstance(space, spaces.Box) else repr(space)


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in identity.items():
        flat |= {f"{key}.{name}": entry for name, entry in value.items()} if key in _NESTED else {key: value}
    # JSON has no tuples.
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}
