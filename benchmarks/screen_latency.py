"""What a step of a live game costs, how well it keeps time, and whether it shows what its action did.

Each part runs on an X server that the env starts itself (Xvfb), with the tiny game that ships.

    python benchmarks/screen_latency.py --part overhead
    python benchmarks/screen_latency.py --part pace --rate 60 --minutes 10
    python benchmarks/screen_latency.py --part opening
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hakisa_envs.screen.capture import Capture
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import GameProfile, Launch, Pause, Reading
from hakisa_envs.screen.image import to_observation
from hakisa_envs.screen.probe import percentiles
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.readers import Bar, Brightness
from hakisa_envs.screen.region import Region

NOOP, FLASH, CLICK = [0, 0, 0], [1, 0, 0], [4, 5, 5]
QUIET_MS = 0.2  # a step in which the thread waited less than that for a CPU


def big_flash() -> GameProfile:
    """Flash at 1920 x 1080 with two readers."""
    profile = load_profile("flash")
    readings = (
        Reading("flash", Brightness(Region(0, 0, 1920, 540), every=16)),
        Reading("bar", Bar(Region(0, 900, 1920, 90), (150, 0, 0), (255, 80, 80))),
    )
    return replace(
        profile,
        launch=replace(profile.launch, command=(*profile.launch.command, "1920", "1080")),
        window=replace(profile.window, size=(1920, 1080)),
        screen=replace(profile.screen, size=(1920, 1080)),
        readings=readings,
    )


def timed(function: Callable[[], Any]) -> float:
    """Milliseconds that a call takes."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def overhead(steps: int) -> dict[str, Any]:
    """Everything in a step but the intended wait, beside a raw grab, shrink and press in the same run."""
    from Xlib import XK, X
    from Xlib.display import Display
    from Xlib.ext import xtest  # type: ignore[import-untyped]  # noqa: F401 (gives displays xtest_fake_input)

    env = ScreenGameEnv(big_flash(), rate=30.0)
    env.reset()
    session = env._session
    assert session is not None
    capture, keyboard = Capture(session.display.name), Display(session.display.name)
    right = keyboard.keysym_to_keycode(XK.XK_Right)  # the bar is full, so the game shows nothing of it

    def press() -> None:
        keyboard.xtest_fake_input(X.KeyPress, right)
        keyboard.xtest_fake_input(X.KeyRelease, right)
        keyboard.sync()

    costs: list[float] = []
    parts: dict[str, list[float]] = {"grab_ms": [], "shrink_ms": [], "press_ms": []}
    for k in range(steps):
        action = (FLASH, CLICK)[k % 2]
        start = time.perf_counter()
        info = env.step(action)[4]
        costs.append((time.perf_counter() - start) * 1e3 - info["wait_ms"])
        parts["grab_ms"].append(timed(lambda: capture.grab(Region(0, 0, 1920, 1080))))
        pixels = capture.grab(Region(0, 0, 1920, 1080)).pixels
        parts["shrink_ms"].append(timed(lambda pixels=pixels: to_observation(pixels, (84, 84), True)))  # type: ignore[misc]
        parts["press_ms"].append(timed(press))
    capture.close()
    keyboard.close()
    env.close()
    raw = [sum(row) for row in zip(*parts.values(), strict=True)]
    ours, theirs = percentiles(costs), percentiles(raw)
    return {
        "steps": steps,
        "overhead_ms": ours,
        "raw_ms": theirs,
        **{name: percentiles(values) for name, values in parts.items()},
        "overhead_over_raw": {name: round(ours[name] / theirs[name], 2) for name in ("p50", "p99")},
        "overhead_less_raw_ms": {name: round(ours[name] - theirs[name], 3) for name in ("p50", "p99")},
    }


def waited_for_cpu_ms() -> float:
    """How long this thread has been ready to run while something else had the CPU, in all."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e6


def pace(rate: float, seconds: float) -> dict[str, Any]:
    """Rate, lateness, missed deadlines, age of the observation, and the share of steps that show their action.

    A step error of milliseconds is the machine's, not the clock's, where this thread had to wait for a CPU:
    ``waited_for_cpu_ms`` is that time per step, and ``quiet_step_error_ms`` has only the steps without it.
    """
    env = ScreenGameEnv("flash", rate=rate)
    _, info = env.reset()
    last, start, shown, missed = info["readings"]["flash"], info["t_obs_ns"], 0, 0
    ages: list[float] = []
    errors: list[float] = []
    waits: list[float] = []
    steps = round(rate * seconds)
    waited = waited_for_cpu_ms()
    for k in range(steps):
        # A key taps once in 40 ms (20 down, 20 up): at 60 Hz every third step, at 20 Hz every step.
        press = k % max(1, round(rate * 0.045)) == 0
        info = env.step(FLASH if press else NOOP)[4]
        flipped = abs(info["readings"]["flash"] - last) > 100
        shown += flipped == press
        last = info["readings"]["flash"]
        missed += info["missed"]
        ages.append(info["frame_age_ms"])
        errors.append(abs(info["dt_ms"] - 1000.0 / rate))
        before, waited = waited, waited_for_cpu_ms()
        waits.append(waited - before)
    elapsed = (info["t_obs_ns"] - start) / 1e9
    env.close()
    # An error is of two frames: a wait before either makes it.
    quiet = [e for e, was, now in zip(errors[1:], waits, waits[1:], strict=False) if max(was, now) < QUIET_MS]
    return {
        "rate": rate,
        "steps": steps,
        "rate_error_percent": round(100 * (steps / elapsed / rate - 1), 4),
        "step_error_ms": percentiles(errors[1:]),
        "waited_for_cpu_ms": percentiles(waits),
        "quiet_steps_percent": round(100 * len(quiet) / (steps - 1), 2),
        "quiet_step_error_ms": percentiles(quiet) if quiet else None,
        "missed_percent": round(100 * missed / steps, 4),
        "age_ms": percentiles(ages),
        "shows_its_action_percent": round(100 * shown / steps, 2),
    }


def opening(repetitions: int) -> dict[str, Any]:
    """Seconds until the first observation: where the window stands already, and with display and game to start."""
    standing = ScreenGameEnv("flash")
    standing.reset()
    assert standing._session is not None
    display = standing._session.display.name
    profile = load_profile("flash")
    attached = replace(profile, launch=Launch(), pause=Pause())

    def opened(make: Callable[[], ScreenGameEnv]) -> float:
        env = make()
        took = timed(env.reset) / 1e3
        env.close()
        return took

    window = [opened(lambda: ScreenGameEnv(attached, display=display, armed=True)) for _ in range(repetitions)]
    everything = [opened(lambda: ScreenGameEnv("flash")) for _ in range(repetitions)]
    standing.close()
    return {
        "repetitions": repetitions,
        "window_stands_s": percentiles(window),
        "display_and_game_started_s": percentiles(everything),
    }


def main() -> None:
    """Run one part, print its figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["overhead", "pace", "opening"], default="overhead")
    parser.add_argument("--rate", type=float, default=20.0, help="of pace")
    parser.add_argument("--minutes", type=float, default=10.0, help="of pace")
    parser.add_argument("--steps", type=int, default=1000, help="of overhead")
    parser.add_argument("--repetitions", type=int, default=20, help="of opening")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    if arguments.part == "overhead":
        figures = overhead(arguments.steps)
    elif arguments.part == "pace":
        figures = pace(arguments.rate, 60 * arguments.minutes)
    else:
        figures = opening(arguments.repetitions)
    figures["load_average"] = os.getloadavg()
    print(json.dumps(figures, indent=1))
    if arguments.save:
        from _results import save

        suffix = f"_{arguments.rate:g}hz" if arguments.part == "pace" else ""
        print(save(f"screen_{arguments.part}{suffix}", figures))


if __name__ == "__main__":
    main()
