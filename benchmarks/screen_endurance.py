"""A live game played for an hour: what grows, and how many deadlines are missed.

Sampled are the memory, file descriptors and threads of the trainer and of the processes that guard it, and the X
server's clients. An episode ends every thousand steps, so resets count too. Growth is against the first sample after
the warm-up, a twelfth of the time. Ctrl+C ends it early and keeps what was played.

    python benchmarks/screen_endurance.py --minutes 60

It passes if nothing grew and all of the minutes that were asked for, at least 60, were played.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from Xlib.display import Display
from Xlib.ext import res  # type: ignore[import-untyped]  # noqa: F401 (gives displays their XRes requests)

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.keeper import descendants

NOOP, FLASH, LEFT, RIGHT, CLICK = [0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 2, 0], [4, 5, 5]
EPISODE = 1000
SAMPLES = 120
LEAST_MINUTES = 60


def usage(pid: int) -> dict[str, float]:
    """Memory in MB, file descriptors and threads of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


def sample(env: ScreenGameEnv, person: Any) -> dict[str, float]:
    """The trainer, all other processes of the env but the game, and the X clients."""
    session = env._session
    assert session is not None
    trainer = usage(os.getpid())
    others = descendants({os.getpid()}) - {os.getpid()}
    if session._game is not None:
        others -= descendants({session._game.pid})
    sums = [usage(pid) for pid in others]
    guards = {f"others_{name}": sum(one[name] for one in sums) for name in trainer}
    return {**trainer, **guards, "x_clients": len(person.res_query_clients().clients)}


def passes(growth: dict[str, float], asked_minutes: float, whole: bool) -> bool:
    """The claim: for an hour or more nothing grows, but for 5 MB of memory."""
    memory = ("rss_mb", "others_rss_mb")
    grew = any(value >= 5 if name in memory else value > 0 for name, value in growth.items())
    return whole and asked_minutes >= LEAST_MINUTES and not grew


def play(rate: float, minutes: float) -> dict[str, Any]:
    """Step for so long, with all sorts of actions."""
    env = ScreenGameEnv("flash", rate=rate)
    env.reset()
    session = env._session
    assert session is not None
    person = Display(session.display.name)
    actions = (FLASH, NOOP, LEFT, CLICK, RIGHT, NOOP)
    asked = round(rate * 60 * minutes)
    every = max(1, asked // SAMPLES)
    steps = missed = flawed = episodes = 0
    samples = []
    try:
        while steps < asked:
            _, _, terminated, truncated, info = env.step(actions[steps % len(actions)])
            steps += 1
            missed += info.get("missed", 0)
            flawed += bool(info["failure"])
            if steps % EPISODE == 0 or terminated or truncated:
                episodes += 1
                env.reset()
            if steps % every == 0:
                samples.append(sample(env, person))
    except KeyboardInterrupt:  # what was played so far counts
        samples.append(sample(env, person))
    restarts = session.input.restarts
    person.close()
    env.close()
    first, last = samples[len(samples) // 12], samples[-1]
    growth = {name: round(last[name] - first[name], 3) for name in first}
    return {
        "rate": rate,
        "asked_minutes": minutes,
        "minutes": round(steps / rate / 60, 2),
        "steps": steps,
        "episodes": episodes,
        "growth": growth,
        "last": {name: round(value, 2) for name, value in last.items()},
        "passes": passes(growth, minutes, steps == asked),
        "missed_deadlines": missed,
        "missed_percent": round(100 * missed / max(steps, 1), 4),
        "failures": flawed,
        "input_server_restarts": restarts,
    }


def main() -> None:
    """Play, print the figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--no-save", action="store_true", help="only try it")
    arguments = parser.parse_args()
    began = time.monotonic()
    figures = play(arguments.rate, arguments.minutes)
    figures |= {"elapsed_s": round(time.monotonic() - began, 1), "load_average": os.getloadavg()}
    print(json.dumps(figures, indent=1))
    if not arguments.no_save:
        from _results import save

        print(save("screen_endurance", figures))


if __name__ == "__main__":
    main()
