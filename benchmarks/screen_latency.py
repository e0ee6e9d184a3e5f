"""What a step of a live game costs, how well it keeps time, and whether it shows what its action did.

Each part runs on an X server that the env starts itself (Xvfb), with the tiny game that ships.

    python benchmarks/screen_latency.py --part overhead
    python benchmarks/screen_latency.py --part picture
    python benchmarks/screen_latency.py --part pace --rate 60 --seconds 600
    python benchmarks/screen_latency.py --part faults --repetitions 100
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import GameProfile, Reading
from hakisa_envs.screen.image import Region
from hakisa_envs.screen.probe import LatencyProbe, percentiles
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.readers import Bar, Brightness

NOOP, FLASH, HOLD, CLICK = [0, 0, 0], [1, 0, 0], [2, 0, 0], [4, 5, 5]


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


def overhead(steps: int) -> dict[str, Any]:
    """Everything in a step but the intended wait, beside its parts alone, in one run."""
    env = ScreenGameEnv(big_flash(), rate=30.0)
    probe = LatencyProbe(env)
    for k in range(steps):
        probe.step((NOOP, FLASH, CLICK)[k % 3])
        probe.parts()
    probe.close()
    env.close()
    found = {name: percentiles(values) for name, values in probe.times.items()}
    parts = found["grab"]["p50"] + found["shrink"]["p50"] + found["input round trip"]["p50"]
    return {
        "steps": steps,
        "overhead_ms": found["overhead"],
        "grab_ms": found["grab"],
        "shrink_ms": found["shrink"],
        "readers_ms": found["readers"],
        "input_round_trip_ms": found["input round trip"],
        "overhead_over_parts": round(found["overhead"]["p50"] / parts, 2),
    }


def picture(presses: int) -> dict[str, Any]:
    """Milliseconds from asking for a press until the end of the first grab that shows what it did."""
    env = ScreenGameEnv("flash")
    probe = LatencyProbe(env)
    probe.step(NOOP)
    for _ in range(presses):
        probe.press()
    probe.close()
    env.close()
    return {
        "presses": presses,
        "unseen": probe.unseen,
        "action_to_picture_ms": percentiles(probe.times["action to picture"]),
    }


def pace(rate: float, seconds: float) -> dict[str, Any]:
    """Rate, lateness, missed deadlines, age of the observation, and the share of steps that show their action."""
    env = ScreenGameEnv("flash", rate=rate)
    _, info = env.reset()
    last, start, shown, missed = info["readings"]["flash"], info["t_obs_ns"], 0, 0
    ages: list[float] = []
    errors: list[float] = []
    steps = round(rate * seconds)
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
    elapsed = (info["t_obs_ns"] - start) / 1e9
    env.close()
    return {
        "rate": rate,
        "steps": steps,
        "rate_error_percent": round(100 * (steps / elapsed / rate - 1), 4),
        "step_error_ms": percentiles(errors[1:]),
        "missed_percent": round(100 * missed / steps, 4),
        "age_ms": percentiles(ages),
        "shows_its_action_percent": round(100 * shown / steps, 2),
    }


def faults(repetitions: int) -> dict[str, Any]:
    """Milliseconds from SIGKILL of the input server until everything is up, and from the end of the leases."""
    from Xlib.display import Display

    env = ScreenGameEnv("flash")
    env.reset()
    session = env._session
    assert session is not None
    person = Display(session.display.name)
    times: dict[str, list[float]] = {"input server killed": [], "nobody steps": []}
    for kind, values in times.items():
        for _ in range(repetitions):
            env.step(HOLD)
            while not any(person.query_keymap()):
                env.step(HOLD)
            start = time.perf_counter()
            if kind == "input server killed":
                os.kill(session.input.pid, signal.SIGKILL)
            while any(person.query_keymap()):
                time.sleep(0.0005)
            values.append((time.perf_counter() - start) * 1e3)
            session.input.report()  # another server
    person.close()
    env.close()
    return {kind: percentiles(values) for kind, values in times.items()}


def main() -> None:
    """Run one part, print its figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["overhead", "picture", "pace", "faults"], default="overhead")
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    if arguments.part == "overhead":
        figures = overhead(arguments.steps)
    elif arguments.part == "picture":
        figures = picture(arguments.steps)
    elif arguments.part == "pace":
        figures = pace(arguments.rate, arguments.seconds)
    else:
        figures = faults(arguments.repetitions)
    figures["load_average"] = os.getloadavg()
    print(json.dumps(figures, indent=1))
    if arguments.save:
        from _results import save

        suffix = f"_{arguments.rate:g}hz" if arguments.part == "pace" else ""
        print(Path(save(f"screen_{arguments.part}{suffix}", figures)))


if __name__ == "__main__":
    main()
