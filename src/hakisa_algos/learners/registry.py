"""Finds algorithms by name: ours, those that a program registers, and those of installed packages.

A package offers one through an entry point in the group ``hakisa.algorithms``::

    [project.entry-points."hakisa.algorithms"]
    hillclimb = "my_package.hillclimb:HillClimb"
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.learners.learner import Learner

GROUP = "hakisa.algorithms"
# As text, so that asking for one algorithm does not import the others.
_BUILT_IN = {
    "ppo": "hakisa_algos.learners.ppo:PPOLearner",
    "a2c": "hakisa_algos.learners.ppo:A2CLearner",
    "reinforce": "hakisa_algos.learners.ppo:REINFORCELearner",
    "dqn": "hakisa_algos.learners.dqn:DQNLearner",
    "pqn": "hakisa_algos.learners.pqn:PQNLearner",
    "ga": "hakisa_algos.learners.ga:GALearner",
}
_registered: dict[str, type[Learner]] = {}

_MEMBERS = ("config_class", "default_config", "facts", "update", "state", "load_state")


def register(name: str, learner: type[Learner]) -> None:
    """Makes ``learner`` known as ``name`` in this process; again with the same class changes nothing.

    Raises:
        ConfigError: the name is taken, or the class lacks a member of Learner.
    """
    if name in _BUILT_IN or _registered.get(name, learner) is not learner:
        raise ConfigError(f"algorithm name {name!r} is taken; choose another")
    _registered[name] = _checked(name, learner)


def algorithms() -> list[str]:
    """All known names."""
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in entry_points(group=GROUP))})


def find_algorithm(name: str) -> type[Learner]:
    """The learner class called ``name``.

    Raises:
        ConfigError: there is none, or a package's entry point does not hold one.
    """
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        learner: type[Learner] = getattr(importlib.import_module(module), attribute)
        return learner
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _checked(name, point.load())
    raise ConfigError(f"algorithm {name!r} is unknown.{did_you_mean(name, algorithms())}")


def _checked(name: str, learner: type[Learner]) -> type[Learner]:
    missing = [member for member in _MEMBERS if not hasattr(learner, member)]
    if missing:
        raise ConfigError(
            f"{learner!r} cannot be algorithm {name!r}: it lacks {', '.join(missing)}; see "
            "hakisa_algos.learners.learner.Learner"
        )
    return learner
