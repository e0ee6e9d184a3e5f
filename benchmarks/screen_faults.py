"""How long keys and buttons stay down after whatever may befall a trainer of a live game.

Each fault strikes a trainer that plays an armed env and holds two keys and a button; a second X client polls what is
down. The tests assert a second (tests/screen/test_faults.py), this measures against a quarter of one.

    python benchmarks/screen_faults.py --repetitions 100
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the faults are the tests' own

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.processes import Keeper
from tests.screen.faults import FAULTS, Stage

TARGET_MS, STOPPED_TARGET_MS = 250.0, 1000.0
GIVE_UP_S = 5.0


def measure(stage: Stage, name: str, repetitions: int) -> dict[str, Any]:
    """Strike again and again."""
    times = [1e3 * stage.measure(FAULTS[name], GIVE_UP_S) for _ in range(repetitions)]
    target = STOPPED_TARGET_MS if name == "trainer SIGSTOP" else TARGET_MS
    return {
        "repetitions": repetitions,
        "target_ms": target,
        "in_time": sum(took <= target for took in times),
        "p50_ms": round(statistics.median(times), 2),
        "max_ms": round(max(times), 2),
    }


def main() -> None:
    """Go through the faults, print the figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--fault", choices=sorted(FAULTS), help="only this one; nothing is kept")
    arguments = parser.parse_args()
    keeper = Keeper()
    figures = {}
    try:
        stage = Stage(open_display("xvfb", (640, 480), keeper).name)
        for name in [arguments.fault] if arguments.fault else FAULTS:
            figures[name] = measure(stage, name, arguments.repetitions)
            print(name, figures[name], flush=True)
        stage.close()
    finally:
        keeper.close()
    if arguments.fault is None:
        from _results import save

        print(save("screen_faults", {"faults": figures, "load_average": os.getloadavg()}))


if __name__ == "__main__":
    main()
