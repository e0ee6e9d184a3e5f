"""The portable back end of live games beside that of X11, in one run: cost of a step, keys after a kill, stray presses.

Both play on the same X server. The parts take turns between the back ends, so that a machine that is busy for a while
is busy for both.

    python benchmarks/screen_backends.py --part overhead --save
    python benchmarks/screen_backends.py --part kills --save
    python benchmarks/screen_backends.py --part strays --save
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the faults are the tests' own

from screen_latency import CLICK, FLASH, big_flash

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.probe import percentiles
from hakisa_envs.screen.processes import Keeper
from tests.screen.faults import FAULTS, Stage
from tests.screen.helpers import Screen, input_client

BACKENDS = ("x11", "portable")
LIMIT_MS, GIVE_UP_S = 250.0, 5.0
FAULT = "trainer SIGKILL"


@contextlib.contextmanager
def display(size: tuple[int, int]) -> Iterator[str]:
    """An X server that is this process's desktop."""
    keeper = Keeper()
    before = os.environ.get("DISPLAY")
    try:
        name = open_display("xvfb", size, keeper).name
        os.environ["DISPLAY"] = name
        yield name
    finally:
        if before is None:
            os.environ.pop("DISPLAY", None)
        else:
            os.environ["DISPLAY"] = before
        keeper.close()


def overhead(steps: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of a step beside its intended wait: 1920 x 1080, 84 x 84 grey, a key or a click, two readers."""
    costs: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    with display((1920, 1080)):
        for _ in range(rounds):
            for backend in BACKENDS:
                env = ScreenGameEnv(big_flash(), backend=backend, display="current", armed=True, rate=30.0)
                env.reset()
                for k in range(steps // rounds):
                    start = time.perf_counter()
                    info = env.step((FLASH, CLICK)[k % 2])[4]
                    costs[backend].append((time.perf_counter() - start) * 1e3 - info["wait_ms"])
                env.close()
    found = {backend: percentiles(values) for backend, values in costs.items()}
    ratio = {name: round(found["portable"][name] / found["x11"][name], 2) for name in ("p50", "p99")}
    return {"steps": steps, **{f"{backend}_ms": found[backend] for backend in BACKENDS}, "portable_over_x11": ratio}


def kills(repetitions: int) -> dict[str, Any]:
    """How long two keys and a button stay down after SIGKILL of the trainer that holds them."""
    times: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    for backend in BACKENDS:  # each on a display of its own: what is down on one is down for all who look on
        with display((640, 480)) as name, contextlib.closing(Stage(name, backend=backend)) as stage:
            for _ in range(repetitions):
                times[backend].append(1e3 * stage.measure(FAULTS[FAULT], GIVE_UP_S))
    return {
        backend: {
            "repetitions": repetitions,
            "within_250_ms": sum(took <= LIMIT_MS for took in values),
            "p50_ms": round(statistics.median(values), 2),
            "worst_ms": [round(took, 2) for took in sorted(values)[-3:]],
        }
        for backend, values in times.items()
    }


def strays(presses: int) -> dict[str, Any]:
    """Presses that another window gets while the focus goes to and fro every 2 to 20 ms."""
    from Xlib import X

    found = {}
    for backend in BACKENDS:
        with display((640, 480)) as name:
            screen, flipper = Screen(name), Screen(name)
            game, other = screen.window(0, 0, 200, 150, title="game"), flipper.window(300, 0, 50, 50, title="other")
            client = input_client({"backend": backend}, name, ["Left"])
            client.timeout = 10.0
            client.start()
            client.wait_ready()
            client.set_target(game.id)
            stop, rng = threading.Event(), random.Random(0)

            def flip(screen: Any, windows: tuple[Any, ...], stop: Any = stop, rng: Any = rng) -> None:
                while not stop.is_set():
                    screen.focus(rng.choice(windows))
                    time.sleep(rng.uniform(0.002, 0.02))

            thread = threading.Thread(target=flip, args=(flipper, (game, other)))
            thread.start()
            pressed = refused = 0
            while pressed < presses:
                report = client.act([("tap", "Left", 1.0)], 1.0)
                pressed, refused = pressed + report.pressed, refused + report.refused
                time.sleep(0.03)  # over 20 ms up between two taps
            stop.set()
            thread.join()
            client.close()
            screen.display.sync()
            hits = {
                kind: sum(event.type == X.KeyPress for event in one.events())
                for kind, one in (("game", screen), ("other", flipper))
            }
            found[backend] = {"pressed": pressed, "refused": refused, "in_another_window": hits["other"]}
            screen.close()
            flipper.close()
    return found


def main() -> None:
    """Run one part, print its figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["overhead", "kills", "strays"], default="overhead")
    parser.add_argument("--steps", type=int, default=1000, help="of each back end")
    parser.add_argument("--rounds", type=int, default=5, help="in which these are divided")
    parser.add_argument("--repetitions", type=int, default=100, help="of a kill")
    parser.add_argument("--presses", type=int, default=1000, help="against a focus that goes to and fro")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    before = os.getloadavg()
    if arguments.part == "overhead":
        figures = overhead(arguments.steps, arguments.rounds)
    else:
        figures = kills(arguments.repetitions) if arguments.part == "kills" else strays(arguments.presses)
    figures |= {"load_average_before": before, "load_average": os.getloadavg(), "niceness": os.nice(0)}
    print(json.dumps(figures, indent=1))
    if arguments.save:
        from _results import save

        print(save(f"screen_backends_{arguments.part}", figures))


if __name__ == "__main__":
    main()
