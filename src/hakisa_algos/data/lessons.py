"""What of somebody's play there is to learn from: which rows, what each counts, and which are kept to examine by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hakisa_algos.errors import ConfigError

Array = np.ndarray
# Columns that a dataset may have besides; bools. Rows marked so are examined by, or not used at all.
HELD_OUT, DROPPED = "held_out", "dropped"
# Another: a person played, and not an agent.
PERSON = "person"


@dataclass(frozen=True, eq=False)
class Lessons:
    """Rows in the order in which they were played, episode after episode, those included that nothing is learned from.

    Attributes:
        position: of each row's observation in the source, ``[n]``.
        action: that was taken ``delay`` rows later, ``[n, *action shape]``.
        acted: the number of the row in which it was taken; meaningless where the row counts nothing, ``[n]``.
        start: an episode begins with the row, bool ``[n]``.
        weight: how much the row counts, 0 where it is not learned from, ``[n]``.
        held_out: the row is examined by, and never learned from, bool ``[n]``.
        thinned: rows left out because they only go on doing nothing.
    """

    position: Array
    action: Array
    acted: Array
    start: Array
    weight: Array
    held_out: Array
    thinned: int

    def __len__(self) -> int:
        return len(self.position)

    @classmethod
    def of(
        cls,
        source: Any,
        *,
        conditional: bool,
        delay: int | Array = 0,
        alike: Sequence[int] = (),
        held_out: float = 0.1,
        balance: float = 0.5,
        idle: Array | None = None,
        idle_run: int = 0,
        seed: int = 0,
    ) -> Lessons:
        """From a buffer, stored rows, or anything that is read like them.

        Args:
            source: the rows.
            conditional: an action's first entry is its command; else actions count as wholes.
            delay: rows from what was seen to what was done about it, in the same episode; or that of each row.
            alike: delays that are to be compared, of which ``delay`` is one: by each of them the same actions are then
                examined, those that all of them have something seen for.
            held_out: share of the episodes that are examined by, drawn; at least one. Of a single episode it is the
                last part. Rows that are marked in a column ``held_out`` go before that. Where a column ``person`` says
                that both a person and an agent played, that holds of the episodes of each.
            balance: 0 counts every row the same; 1 every command, however rare.
            idle: the action that does nothing; of a conditional space its first entry.
            idle_run: of each run of it, rows after so many in a row are left out; 0: none.
            seed: draws the held-out episodes.

        Raises:
            ConfigError: nothing is left to learn from, or to examine by.
        """
        columns, names = source.num_envs, ("age", "action", "learned", "transition")
        grid = np.arange(source.oldest * columns, source.steps).reshape(-1, columns)
        position = grid.T.reshape(-1)  # column after column, so that episodes lie in one piece
        age, action, learned, transition = (source.take(name, position) for name in names)
        start = np.ones(len(position), bool)
        start[1:] = (age[1:] == 0) | (age[1:] != age[:-1] + 1)
        episode = np.cumsum(start) - 1
        known = learned & transition
        kept = known & ~marked(source, DROPPED, position)
        after = np.arange(len(position)) + delay
        there = after < len(position)
        after[~there] = 0
        action, good = action[after], kept & there & kept[after] & (episode[after] == episode)
        examined, person = (marked(source, name, position) for name in (HELD_OUT, PERSON))
        # Of rows that are to be compared it is asked what was done in them, and not what was seen.
        among, place = (_paired(kept, episode, alike), after) if alike else (good, slice(None))
        chosen = np.zeros(len(position), bool)
        for own in (among & person, among & ~person):
            chosen |= examined & own if (examined & own).any() else _drawn(episode, own, held_out, seed)
        spared = (chosen | (examined & bool(alike)))[place]
        chosen = (chosen & among)[place]
        idles = np.zeros(len(position), bool) if idle is None else _same(action, idle, conditional)
        thinned = good & ~spared & _beyond(idles & good, start, idle_run) if idle_run else np.zeros_like(good)
        weight = np.zeros(len(position), np.float32)
        for part in (good & ~spared & ~thinned, good & chosen):
            if not part.any():
                played = f"{int(transition.sum())} rows of {len(np.unique(episode[transition]))} episodes"
                longest = max((int(np.max(delay)), *alike))
                raise ConfigError(_too_little(played, known, kept, among, good & ~spared, longest, idle_run))
            weight[part] = _weights(action[part], conditional, balance)
        return cls(position, action, after, start, weight, chosen & good, int(thinned.sum()))


def _too_little(played: str, known: Array, kept: Array, good: Array, own: Array, delay: int, idle_run: int) -> str:
    """Why nothing is left to learn from or to examine by, and what helps.

    Args:
        played: how much there is in all, in words.
        known: rows that may be learned from.
        kept: those of them that are not left out.
        good: those of them that have an action after the delay.
        own: those of them that are not held out.
        delay: the longest.
        idle_run: likewise.
    """
    if not known.any():
        return (
            f"none of {played} can be learned from: the game had not the focus, or nothing was done that is an action "
            "of it; record again"
        )
    if not kept.any():
        return (
            f"all that can be learned from is left out, of {played}: the player marked the episodes as bad, or they "
            "were dropped in a review; record more, or take back what was dropped: hakisa review RECORDING --keep-all"
        )
    if not good.any():
        return (
            f"after a delay of {delay} rows no episode has a row left that can be learned from, of "
            f"{played}; record longer episodes, or give a shorter delay"
        )
    if not own.any():
        return (
            f"all {int(good.sum())} rows that can be learned from are held out, of {played}; record more, or hold out "
            "fewer: hakisa review RECORDING --keep-all takes all marks back"
        )
    if int(good.sum()) > 1:
        return (
            f"all {int(own.sum())} rows that are not held out go on doing nothing for more than idle_run={idle_run} "
            "rows; record more, or set idle_run=0 to learn from them too"
        )
    return f"1 row of {played} can be learned from, too little to learn from some and examine by others; record more"


def marked(source: Any, name: str, position: Array) -> Array:
    """A column of bools at positions; all False where the source has none of that name."""
    try:
        marks: Array = source.take(name, position).astype(bool)
    except KeyError:  # no such column
        return np.zeros(len(position), bool)
    return marks


def _paired(kept: Array, episode: Array, delays: Sequence[int]) -> Array:
    """Rows that have in their episode a row so long before them, for each of some delays."""
    row = np.arange(len(kept))
    paired = kept.copy()
    for delay in delays:
        before = np.maximum(row - delay, 0)
        paired &= kept[before] & (episode[before] == episode) & (row >= delay)
    return paired


def _drawn(episode: Array, good: Array, share: float, seed: int) -> Array:
    """Rows of some whole episodes, or the last of them if there is but one."""
    whole = np.unique(episode[good])
    if len(whole) < 2:
        rows = np.flatnonzero(good)
        chosen = np.zeros(len(good), bool)
        chosen[rows[len(rows) - min(max(1, round(share * len(rows))), len(rows) - 1) :]] = len(rows) > 1
        return chosen
    count = min(max(1, round(share * len(whole))), len(whole) - 1)
    rng = np.random.Generator(np.random.Philox(seed))
    return np.isin(episode, rng.choice(whole, count, replace=False))


def _same(action: Array, idle: Array, conditional: bool) -> Array:
    flat, idle = action.reshape(len(action), -1), np.atleast_1d(idle)
    same: Array = flat[:, 0] == idle[0] if conditional else (flat == idle.reshape(-1)).all(1)
    return same


def _beyond(idles: Array, start: Array, length: int) -> Array:
    """Rows that have at least ``length`` idle ones before them without a break."""
    breaks = ~idles | start
    index = np.arange(len(idles))
    last = np.maximum.accumulate(np.where(breaks, index, 0))
    # A row with which an episode begins is itself the first of its run.
    beyond: Array = idles & (index - last + (idles & start)[last] > length)
    return beyond


def _weights(action: Array, conditional: bool, balance: float) -> Array:
    """Of each row, 1 on average."""
    flat = action.reshape(len(action), -1)
    _, kind, count = np.unique(flat[:, 0] if conditional else flat, axis=0, return_inverse=True, return_counts=True)
    weight = (count / len(flat)) ** -balance
    weights: Array = weight[kind.reshape(-1)]
    weights /= weights.mean()
    return weights
