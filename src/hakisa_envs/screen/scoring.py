"""From readings to rewards and to the end of an episode."""

from __future__ import annotations

from hakisa_envs.screen.conditions import Readings
from hakisa_envs.screen.game import End, GameProfile


class Scorer:
    """Keeps the last number that was read of each reading, and pays for changes against it.

    A counter that rolls up over several frames pays in parts whose sum is right. "No reading" pays nothing and
    changes nothing.

    Args:
        profile: The game.
        episode: The sort of episode that is played.
    """

    def __init__(self, profile: GameProfile, episode: str) -> None:
        self._rewards = profile.rewards
        self._ends = [end for end in profile.ends if end.episode in ("", episode)]
        self._last: dict[str, float] = {}
        self._counts: list[int] = []

    def start(self, readings: Readings) -> None:
        """Begin an episode at these readings."""
        self._last = {name: value for name, value in readings.items() if value is not None}
        self._counts = [0] * len(self._ends)

    def step(self, readings: Readings) -> tuple[dict[str, float], End | None]:
        """Judge the next frame.

        Returns:
            The parts of the reward by reading (their sum is the reward), and what has ended the episode: the first of
            the profile that did.
        """
        parts: dict[str, float] = {}
        for reward in self._rewards:
            value, last = readings.get(reward.reading), self._last.get(reward.reading)
            amount = 0.0
            if reward.when is not None and not reward.when.holds(readings, self._last):
                pass
            elif value is not None and reward.on == "value":
                amount = value
            elif value is not None and last is not None and abs(value - last) <= reward.most:
                change = value - last
                amount = {"change": change, "rise": max(change, 0.0), "fall": max(-change, 0.0)}[reward.on]
            parts[reward.reading] = parts.get(reward.reading, 0.0) + reward.weight * amount
        ended = [self._holds(index, end, readings) for index, end in enumerate(self._ends)]
        self._last.update({name: value for name, value in readings.items() if value is not None})
        return parts, next((end for end, holds in zip(self._ends, ended, strict=True) if holds), None)

    def _holds(self, index: int, end: End, readings: Readings) -> bool:
        self._counts[index] = self._counts[index] + 1 if end.when.holds(readings, self._last) else 0
        return self._counts[index] >= end.steps
