"""How long keys and buttons stay down after whatever may befall a trainer of a live game.

Each fault strikes a trainer that plays an armed env and holds two keys and a button; a second X client polls what is
down. The tests assert a second (tests/screen/test_faults.py), this measures against a quarter of one. The faults take
turns, and the figures are kept after every round: Ctrl+C loses one round at most.

    python benchmarks/screen_faults.py --repetitions 100
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the faults are the tests' own

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.processes import Keeper
from tests.screen.faults import FAULTS, Stage

TARGET_MS, STOPPED_TARGET_MS = 250.0, 1000.0
GIVE_UP_S = 5.0


def figures(name: str, times: list[float]) -> dict[str, Any]:
    """Of one fault, from the milliseconds until everything was up; infinite ones count as the worst, and are None."""
    target = STOPPED_TARGET_MS if "SIGSTOP" in name else TARGET_MS
    return {
        "repetitions": len(times),
        "target_ms": target,
        "in_time": sum(took <= target for took in times),
        "within_250_ms": sum(took <= TARGET_MS for took in times),
        "never": sum(took == math.inf for took in times),
        "p50_ms": _finite(statistics.median(times)),
        "worst_ms": [_finite(took) for took in sorted(times)[-3:]],
    }


def _finite(milliseconds: float) -> float | None:
    """What JSON can hold."""
    return round(milliseconds, 2) if math.isfinite(milliseconds) else None


def strike(names: list[str], repetitions: int, times: dict[str, list[float]], keep: bool) -> None:
    """Every fault once in each round, on one display; fills ``times``."""
    keeper = Keeper()
    began = time.monotonic()
    try:
        # Closed after Ctrl+C too: a trainer that is stopped would outlive this process.
        with contextlib.closing(Stage(open_display("xvfb", (640, 480), keeper).name)) as stage:
            for count in range(1, repetitions + 1):
                took = {name: 1e3 * stage.measure(FAULTS[name], GIVE_UP_S) for name in names}
                for name, value in took.items():
                    times[name].append(value)
                late = [name for name in names if figures(name, [took[name]])["in_time"] == 0]
                worst = max(took, key=took.__getitem__)
                minutes = (time.monotonic() - began) / 60
                print(
                    f"round {count} of {repetitions}, {minutes:.1f} min; longest: {worst}, {took[worst]:.0f} ms; "
                    f"late: {', '.join(late) or 'none'}",
                    flush=True,
                )
                if keep:
                    save(times, began)
    finally:
        keeper.close()


def save(times: dict[str, list[float]], began: float) -> Path:
    """Keep what there is so far."""
    import _results

    return _results.save(
        "screen_faults",
        {
            "faults": {name: figures(name, values) for name, values in times.items()},
            "minutes": round((time.monotonic() - began) / 60, 1),
            "load_average": os.getloadavg(),
        },
    )


def main() -> None:
    """Go through the faults, print the figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--fault", choices=sorted(FAULTS), help="only this one; nothing is kept")
    arguments = parser.parse_args()
    names = [arguments.fault] if arguments.fault else list(FAULTS)
    times: dict[str, list[float]] = {name: [] for name in names}
    try:
        strike(names, arguments.repetitions, times, keep=arguments.fault is None)
    except KeyboardInterrupt:
        print("interrupted")
    for name, values in times.items():
        if values:
            print(name, figures(name, values))


if __name__ == "__main__":
    main()
