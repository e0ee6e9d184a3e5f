"""What actions are called: in the figures and the page of a recording, and in the tables of a clone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from hakisa_algos.learners.agreement import head_names
from hakisa_algos.policy.heads import ActionLayout
from hakisa_algos.stages.recording import Recording, rules_of
from hakisa_envs.screen.actions import argument_names
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.spaces import ConditionalMultiDiscrete

_LONGEST = 60  # letters of a name


def action_meanings(env: gym.Env[Any, Any]) -> list[str]:
    """What an env calls its Discrete actions, or the parts of a MultiBinary one, in order; empty if it says nothing."""
    space, inner = env.action_space, env.unwrapped
    if not isinstance(space, spaces.Discrete | spaces.MultiBinary):
        return []  # of other spaces names are not one for one
    ask = getattr(inner, "get_action_meanings", None)
    names = ask() if callable(ask) else getattr(inner, "action_meanings", None)
    found = [str(name) for name in (() if names is None else names)]
    return found if len(found) == spaces.utils.flatdim(space) else []


def named_by(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """What recording.json says of the names of an env's actions.

    Of a live game ``commands``, and ``arguments``: for each command the names of what its arguments choose among, none
    where these are places. Of any other env ``meanings``, see :func:`action_meanings`.
    """
    if not isinstance(env.unwrapped, ScreenGameEnv):
        return {"commands": [], "meanings": action_meanings(env)}
    actions = env.unwrapped.profile.actions
    return {"commands": list(actions.commands), "arguments": argument_names(actions)}


@dataclass(frozen=True, eq=False)
class ActionNames:
    """The names of the actions of one space.

    A command that has one argument is told with it, ``"hold_only Left"``; what several arguments say is a place.

    Attributes:
        space: of the actions.
        names: of Discrete actions, of the parts of MultiBinary ones, or of commands; as many as are known.
        arguments: by command, the names of what its arguments choose among.
    """

    space: spaces.Space[Any]
    names: Sequence[str]
    arguments: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, recording: Recording) -> ActionNames:
        """Of a recording; of one that was made before these were stored, as far as its rules tell them."""
        facts = recording.facts
        stored: Any = facts.get("arguments")
        if not isinstance(stored, dict):
            rules = rules_of(recording)
            stored = {} if rules is None else argument_names(rules)
        arguments = {command: _texts(names) for command, names in stored.items()}
        return cls(recording.action_space, _texts(facts.get("meanings")) or _texts(facts.get("commands")), arguments)

    def label(self, action: np.ndarray) -> str:
        """An action without its place."""
        space, heads = self.space, self._heads(action)
        if isinstance(space, spaces.Discrete):
            return _name(self.names, heads[0] - int(space.start), heads[0])
        if isinstance(space, spaces.MultiBinary):
            return "+".join(_name(self.names, i) for i, down in enumerate(heads) if down) or "none"
        if not isinstance(space, ConditionalMultiDiscrete):
            return ", ".join(map(str, heads))
        command = _name(self.names, heads[0])
        relevant = self._relevant(heads)
        if len(relevant) != 1:
            return command
        return f"{command} {_name(self.arguments.get(command, ()), heads[relevant[0]])}"

    def place(self, action: np.ndarray) -> dict[int, int]:
        """The arguments of an action that has several, by the number of their head; empty for any other."""
        heads = self._heads(action)
        relevant = self._relevant(heads)
        return {h: heads[h] for h in relevant} if len(relevant) > 1 else {}

    def place_words(self, action: np.ndarray) -> str:
        """The place in words; empty where there is none."""
        known = self.arguments.get(self.label(action), ())
        return ", ".join(_name(known, i) for i in self.place(action).values())

    def count(self, actions: np.ndarray) -> dict[str, Counter[str]]:
        """How often each was done, and at which places (``""``: at none); the commonest first.

        Args:
            actions: ``[rows, ...]``.
        """
        found: dict[str, Counter[str]] = {}
        rows = actions.reshape(len(actions), math.prod(actions.shape[1:]))  # of no rows, too
        for action, times in zip(*np.unique(rows, axis=0, return_counts=True), strict=True):
            found.setdefault(self.label(action), Counter())[self.place_words(action)] += int(times)
        return dict(sorted(found.items(), key=lambda one: -one[1].total()))

    def heads(self) -> dict[str, list[str]]:
        """By head, as it is called in metrics, the names of its choices in order."""
        space, layout = self.space, ActionLayout.of(self.space)
        called = head_names(layout)
        if isinstance(space, spaces.MultiBinary):
            return {head: [f"{_name(self.names, i)} {way}" for way in ("up", "down")] for i, head in enumerate(called)}
        named: list[Sequence[str]] = [()] * len(layout.nvec)
        if isinstance(space, spaces.Discrete | ConditionalMultiDiscrete):
            named[0] = self.names
        if isinstance(space, ConditionalMultiDiscrete):
            for h in range(1, len(named)):
                commands = [_name(self.names, int(c)) for c in np.flatnonzero(space.sizes[:, h - 1] > 1)]
                kinds = {tuple(self.arguments.get(command, ())) for command in commands}
                named[h] = kinds.pop() if len(kinds) == 1 else ()  # else one number stands for several things
        return {
            head: [_name(names, i, i + start) for i in range(n)]
            for head, names, n, start in zip(called, named, layout.nvec, layout.start, strict=True)
        }

    def _heads(self, action: np.ndarray) -> list[int]:
        space = self.space
        heads: list[int] = np.ravel(
            space.canonical(action) if isinstance(space, ConditionalMultiDiscrete) else action
        ).tolist()
        return heads

    def _relevant(self, heads: Sequence[int]) -> list[int]:
        """The heads of the arguments that matter."""
        if not isinstance(self.space, ConditionalMultiDiscrete):
            return []
        return [1 + int(h) for h in np.flatnonzero(self.space.sizes[heads[0]])]


def _name(names: Sequence[str], index: int, number: int | None = None) -> str:
    """The name, or the number where there is none."""
    return names[index] if 0 <= index < len(names) else str(index if number is None else number)


def _texts(said: Any) -> list[str]:
    return [str(name)[:_LONGEST] for name in said] if isinstance(said, list) else []
