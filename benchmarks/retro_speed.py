"""Speed of emulated consoles on one core: frames a second, and decisions of four frames against stable-retro's env.

A decision is four frames with both healths (or two bytes) read after each, and one picture. Every figure is from a
process of its own, and the two ways take turns.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import _results
import numpy as np

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import HOMEBREW, GameFiles, Variable, homebrew, imported

FIGHTER, AIRSTRIKER = "HakisaFighter-Genesis-v0", "Airstriker-Genesis-v0"
STATES = {FIGHTER: "mixed.normal.left", AIRSTRIKER: "Level1"}
SKIP = 4


def files_of(game: str) -> GameFiles:
    return homebrew(game) if game == FIGHTER else imported(game)


def per_second(act: Callable[[], None], seconds: float) -> float:
    """How often ``act`` is done in a second."""
    for _ in range(100):
        act()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(50):
            act()
        count += 50
    return count / (time.perf_counter() - start)


def ours(game: str, seconds: float, only_frames: bool) -> float:
    """Decisions a second, or frames a second without pictures."""
    files = files_of(game)
    with Emulator(files) as emulator:
        emulator.set_core(gzip.decompress((files.states / f"{STATES[game]}.state").read_bytes()))
        watched = [files.variables[name] for name in ("health", "enemy_health")] if game == FIGHTER else []
        watched = watched or [Variable(0xFF0000, ">i2"), Variable(0xFF0002, ">i2")]
        pads = [emulator.mask(buttons) for buttons in (["RIGHT"], ["LEFT"], ["B"], [])]
        turn = iter(range(10**9))

        def decide() -> None:
            emulator.hold(pads[next(turn) % len(pads)])
            for _ in range(SKIP):
                emulator.advance()
                for variable in watched:
                    emulator.read(variable)
            emulator.picture()

        return per_second(emulator.advance if only_frames else decide, seconds)


def theirs(game: str, seconds: float) -> float:
    """Decisions a second of `stable_retro.RetroEnv`."""
    import stable_retro

    integrations = stable_retro.data.Integrations
    integrations.add_custom_path(str(HOMEBREW / "fighter"))
    env = stable_retro.make(game, STATES[game], inttype=integrations.CUSTOM, render_mode="rgb_array")
    env.reset()
    pads = [np.eye(12, dtype=np.int8)[button] for button in (7, 6, 0)] + [np.zeros(12, np.int8)]
    turn = iter(range(10**9))

    def decide() -> None:
        pad = pads[next(turn) % len(pads)]
        for _ in range(SKIP):
            env.step(pad)

    speed = per_second(decide, seconds)
    env.close()
    return speed


def alone(act: Callable[..., float], *arguments: Any) -> float:
    """Done in a process of its own, since a process has one emulator."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(act, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write results/retro_speed.json")
    args = parser.parse_args()

    figures: dict[str, Any] = {"frames_of_a_decision": SKIP}
    for game in (FIGHTER, AIRSTRIKER):
        rows = [
            (
                alone(ours, game, args.seconds, True),
                alone(ours, game, args.seconds, False),
                alone(theirs, game, args.seconds),
            )
            for _ in range(args.rounds)
        ]
        frames, decisions, retro_env = (statistics.median(column) for column in zip(*rows, strict=True))
        ratios = [mine / other for _, mine, other in rows]
        figures[game] = {
            "frames_per_second": round(frames),
            "decisions_per_second": round(decisions, 1),
            "retro_env_decisions_per_second": round(retro_env, 1),
            "times_as_fast": round(statistics.median(ratios), 3),
            "all_rounds": [[round(value, 1) for value in row] for row in rows],
        }
        print(game, figures[game], flush=True)
    if args.save:
        print("Written:", _results.save("retro_speed", figures))


if __name__ == "__main__":
    main()
