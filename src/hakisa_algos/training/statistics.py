"""Running figures of a training run's episodes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hakisa_algos.data.contract import OUTCOMES
from hakisa_algos.data.episodes import Episode

# What is kept of the last episodes, by its name in a checkpoint.
_KEPT = {"returns": "total", "lengths": "length", "outcomes": "outcome", "infos": "info"}


class EpisodeStatistics:
    """What the last ``window`` episodes were like, and the best stretch so far.

    Attributes:
        count: episodes since the beginning of the run.
        best_mean_return: highest ``mean_return`` of a full window; NaN until there was one.
    """

    def __init__(self, window: int = 100) -> None:
        self._last: dict[str, deque[Any]] = {name: deque(maxlen=window) for name in _KEPT}
        self.count = 0
        self.best_mean_return = math.nan

    def add(self, episode: Episode) -> None:
        """Counts one finished episode."""
        for name, attribute in _KEPT.items():
            self._last[name].append(getattr(episode, attribute))
        self.count += 1
        if self.is_full:
            self.best_mean_return = max(self.mean_return, self.best_mean_return)  # of a NaN it takes the first

    @property
    def is_full(self) -> bool:
        """Whether there were as many episodes as the means are over."""
        return len(self._last["returns"]) == self._last["returns"].maxlen

    def without(self, keys: Sequence[str]) -> list[str]:
        """Of entries of infos those that none of the last episodes has, if there were any."""
        infos = self._last["infos"]
        return [key for key in keys if infos and not any(key in info for info in infos)]

    @property
    def returns(self) -> list[float]:
        """Returns of the window's episodes, oldest first."""
        return list(self._last["returns"])

    @property
    def mean_return(self) -> float:
        """Mean return of the window: undiscounted, of raw rewards; NaN before the first episode."""
        return _mean(self._last["returns"])

    def metrics(self) -> dict[str, float]:
        """By name (docs/metrics.md): rates of the episodes that say an outcome, entries of infos of those with them."""
        found = {
            "rollout/ep_rew_mean": self.mean_return,
            "rollout/ep_len_mean": _mean(self._last["lengths"]),
            "rollout/episodes": self.count,
        }
        said = [outcome for outcome in self._last["outcomes"] if outcome is not None]
        if said:
            found |= {f"rollout/{outcome}_rate": said.count(outcome) / len(said) for outcome in OUTCOMES}
        infos = self._last["infos"]
        for key in sorted({key for info in infos for key in info}):
            found[f"info/{key}"] = _mean([info[key] for info in infos if key in info])
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        kept = {name: list(values) for name, values in self._last.items()}
        return kept | {"count": self.count, "best": self.best_mean_return}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from ``state()``, of an older version too; the window stays the one given here."""
        for name, values in self._last.items():
            values.clear()
            values.extend(state.get(name, ()))
        self.count, self.best_mean_return = state["count"], state["best"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
