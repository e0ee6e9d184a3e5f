"""Does a run that had learnt something lose it again? Pure bookkeeping, no training code.

Policy-gradient runs collapse in the field (stable-baselines3 #1616, baselines #975). A low return alone is
noise or a hard stretch, and low entropy alone is a solved task, so both are asked for: the return of the last
episodes is significantly under its best, *and* another signal says that the policy broke.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

# Episodes that are compared, now and at the best; more are surer and later.
_WINDOW = 100
# The KL per update that is aimed for where the learner has no target: the usual order of PPO updates.
_USUAL_KL = 0.02
# Signals: an update with more than this times its target; entropy, as a fraction of the uniform policy's, under this;
# explained variance under 0 in so many updates in a row.
_KL_FACTOR = 10.0
_ENTROPY_FLOOR = 0.02
_CRITIC_UPDATES = 10
# Thresholds of the return test. `best` is the luckiest of thousands of overlapping windows, so the usual 2 or
# 3 standard errors would be passed by noise alone. With these, and every other signal standing throughout,
# none of 100 simulated runs of 3000 episodes fires, whether their returns are stationary, learning, drifting,
# sparse, heavy-tailed or moderately autocorrelated (the tests repeat a part). Returns that wander for dozens
# of episodes at a time, by more than their own spread, do pass it; then only the other signals decide.
#
# Standard errors between best and now. They are estimated from the spread of block means, not of episodes,
# since consecutive episodes of one policy resemble each other; ten blocks leave 18 degrees of freedom.
_STANDARD_ERRORS = 6.0
_BLOCKS = 10
# Effect size (Cohen's d): how many standard deviations of single episodes now is under the best. With steady
# returns a trifle is significant, and not worth a word. A broken policy measures 2 (CartPole, early) to 20.
_EFFECT = 1.5
# The same for returns with no spread at all, where d is infinite: a share of what the run had gained from its
# worst window to its best, and of the best return itself (a run that starts from a good policy gains none).
_SHARE_OF_GAIN = 0.25
_SHARE_OF_BEST = 0.05
# A critic that never explained anything has nothing to lose: early in training it is negative for long.
_CRITIC_WAS_GOOD = 0.25


@dataclass(frozen=True)
class _Window:
    mean: float
    variance: float
    error: float

    @classmethod
    def of(cls, returns: Sequence[float]) -> _Window:
        mean = math.fsum(returns) / len(returns)
        variance = math.fsum((value - mean) ** 2 for value in returns) / max(1, len(returns) - 1)
        blocks = min(_BLOCKS, len(returns))
        edges = [len(returns) * block // blocks for block in range(blocks + 1)]
        means = [math.fsum(returns[a:b]) / (b - a) for a, b in pairwise(edges)]
        between = math.fsum((value - mean) ** 2 for value in means) / max(1, blocks - 1)
        # Whichever is larger: block means may agree by chance.
        return cls(mean, variance, math.sqrt(max(between / blocks, variance / len(returns))))


class CollapseDetector:
    """Watches one run; feed it once per update. ``target_kl`` is what its learner aims for, if it does."""

    def __init__(self, target_kl: float | None = None) -> None:
        self.target_kl = target_kl or _USUAL_KL
        self._returns: deque[float] = deque(maxlen=_WINDOW)
        self._episodes = 0
        self._best: _Window | None = None
        self._best_at = 0  # episodes when the best window ended
        self._lowest = math.inf  # lowest window mean so far
        self._gain = 0.0  # from the lowest window before the best one to it
        self._peak_kl = 0.0
        self._peak_kl_at = -math.inf  # episodes when it was seen
        self._critic_was_good = False
        self._critic_bad = 0  # updates in a row
        self._silent_under = -math.inf  # after firing: until the mean is back above this

    def observe(
        self, returns: Sequence[float], kl: float, entropy_fraction: float, explained_variance: float
    ) -> str | None:
        """Take in one update.

        Args:
            returns: raw returns of the episodes that finished since the last call, oldest first; or none.
            kl: KL of the new policy from the one that collected, as logged (``train/approx_kl``).
            entropy_fraction: mean entropy divided by that of the uniform policy (log n), 0 to 1.
            explained_variance: of the critic, at most 1. NaN for any of the three: unknown, no signal.

        Returns:
            What was seen, in words, once; then ``None`` until the return has come back half of the way (or ``rearm``).
        """
        if kl > _KL_FACTOR * self.target_kl:
            self._peak_kl, self._peak_kl_at = kl, self._episodes
        self._critic_was_good = self._critic_was_good or explained_variance > _CRITIC_WAS_GOOD
        self._critic_bad = self._critic_bad + 1 if explained_variance < 0 else 0
        self._returns.extend(float(value) for value in returns)
        self._episodes += len(returns)
        if not returns or len(self._returns) < _WINDOW:
            return None

        now = _Window.of(list(self._returns))
        self._lowest = min(self._lowest, now.mean)
        if self._best is None or now.mean > self._best.mean:
            self._best, self._best_at, self._gain = now, self._episodes, now.mean - self._lowest
        if now.mean < self._silent_under:
            return None
        self._silent_under = -math.inf
        signals = self._signals(entropy_fraction)
        if not signals or not self._under_best(now, self._best):
            return None
        self._silent_under = (now.mean + self._best.mean) / 2
        best = f"return {now.mean:.4g}, was {self._best.mean:.4g} at its best"
        return f"the policy may have collapsed: {best}; {', '.join(signals)}"

    def rearm(self) -> None:
        """Good weights were put back: forget the last window and its signals; the best stays the measure."""
        self._returns.clear()
        self._peak_kl_at = -math.inf
        self._critic_bad = 0
        self._silent_under = -math.inf

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        state = {name[1:]: value for name, value in vars(self).items() if name.startswith("_")}
        return state | {"returns": list(self._returns), "best": asdict(self._best) if self._best else None}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``; the target stays the one given here."""
        vars(self).update({f"_{name}": value for name, value in state.items()})
        self._returns = deque(state["returns"], _WINDOW)
        self._best = _Window(**state["best"]) if state["best"] else None

    def _under_best(self, now: _Window, best: _Window) -> bool:
        if self._episodes - self._best_at < _WINDOW:
            return False  # the windows overlap; this also spares the first two windows of a run
        drop = best.mean - now.mean
        floor = max(_SHARE_OF_GAIN * self._gain, _SHARE_OF_BEST * abs(best.mean))
        effect = _EFFECT * math.sqrt((best.variance + now.variance) / 2)
        return drop > max(floor, effect, _STANDARD_ERRORS * math.hypot(best.error, now.error))

    def _signals(self, entropy_fraction: float) -> list[str]:
        signals = []
        # The return falls in the episodes after the fatal update, and a window must fill with them.
        if self._episodes - self._peak_kl_at <= 2 * _WINDOW:
            signals.append(f"KL was {self._peak_kl:.3g}, {self._peak_kl / self.target_kl:.0f} x its target")
        if entropy_fraction < _ENTROPY_FLOOR:
            signals.append(f"entropy is {entropy_fraction:.2%} of the uniform policy's")
        if self._critic_was_good and self._critic_bad >= _CRITIC_UPDATES:
            signals.append(f"explained variance is negative since {self._critic_bad} updates")
        return signals
