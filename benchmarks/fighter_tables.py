"""The stored results of the Fighter as tables in Markdown: Hakisa's presets, and matches against all opponents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import _results
from _fighter_matches import OPPONENTS, PARTS, WAYS

ALGORITHMS, TIMES = ("ppo", "dqn", "ga"), {0: "untrained", 1: "as it was", 10: "ten times as long"}


def stored(name: str) -> dict[str, Any]:
    """A result, or nothing where there is none yet."""
    path = _results.RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def head(*cells: str) -> list[str]:
    return [row(*cells), "|---" * len(cells) + "|"]


def share(found: Mapping[str, Any]) -> str:
    """A share with its interval, in percent."""
    low, high = found["interval"]
    return f"{found['won']:.0%} [{low:.0%}, {high:.0%}]"


def presets() -> list[str]:
    """Rounds won by each preset at its size and at ten times it, a row for each seed."""
    lines = head("preset", "seed", "decisions", "minutes", "rounds won by sampled actions", "by best actions", "rounds")
    for algorithm in ALGORITHMS:
        for times, words in TIMES.items():
            for seed, run in stored(f"fighter_presets_{algorithm}_{times}").get("runs", {}).items():
                won = [share(run[way]) for way in WAYS]
                counts = " and ".join(str(run[way]["games"]) for way in WAYS)
                cells = (f"{algorithm}, {words}", seed, f"{run['decisions']:,}", run["minutes"], *won, counts)
                lines.append(row(*cells))
    return lines


def matches(seed: int) -> list[str]:
    """Matches won against each opponent, a column for each part that was played."""
    won = stored(f"fighter_matches_seed{seed}").get("won", {})
    played = [(way, part) for way in WAYS for part in PARTS if part in won.get(way, {})]
    if not played:
        return []
    lines = head(f"opponent, seed {seed}", *(f"{part}, {way.replace('_', ' ')}" for way, part in played))
    for opponent in OPPONENTS:
        lines.append(row(opponent, *(share(won[way][part]["by_opponent"][opponent]) for way, part in played)))
    totals = (won[way][part]["all"] for way, part in played)
    lines.append(row("all", *(f"{share(found)} of {found['matches']:,}" for found in totals)))
    return lines


def main() -> None:
    seeds = sorted(
        int(path.stem.removeprefix("fighter_matches_seed"))
        for path in _results.RESULTS.glob("fighter_matches_seed*.json")
    )
    for table in (presets(), *map(matches, seeds)):
        print("\n".join(table), end="\n\n")


if __name__ == "__main__":
    main()
