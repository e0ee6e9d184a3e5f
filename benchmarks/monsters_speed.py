"""Speed of Monsters: what decoding costs a step, decisions a second by number of envs, and how far random play comes.

Decoding is processor time, so other work on the machine changes little; decisions are by the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import _results
import gymnasium as gym
import numpy as np

import hakisa_envs  # noqa: F401
from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import homebrew
from hakisa_envs.retro.pokemon.emerald import read
from hakisa_envs.retro.pokemon.game import MONSTERS
from hakisa_envs.retro.pokemon.rewards import TABLES, RewardEngine

ENV, STATE, CALLS = "Hakisa/Monsters-v0", "oak", 2000


def microseconds(act: Callable[[], Any]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    for _ in range(CALLS):
        act()
    return round((time.process_time() - start) / CALLS * 1e6, 1)


def decoding() -> dict[str, float]:
    """What a step's readings and rewards take, in microseconds."""
    with Emulator(homebrew(MONSTERS)) as emulator:
        emulator.load(STATE)
        emulator.advance()
        reading, engine = emulator.inspect(read), RewardEngine(TABLES["ours"])
        engine.begin(reading)
        return {
            "memory_and_decoding_us": microseconds(lambda: emulator.inspect(read)),
            "rewards_us": microseconds(lambda: engine.pay(reading)),
            "picture_us": microseconds(emulator.picture),
            "frame_where_nothing_moves_us": microseconds(emulator.advance),
        }


def decisions_per_second(count: int, seconds: float) -> float:
    """Of ``count`` envs together, in random play from pixels and with the visited map."""
    envs, generator = gym.make_vec(ENV, count, visited_map=True, state=STATE), np.random.default_rng(0)
    try:
        envs.reset(seed=0)
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            envs.step(generator.integers(15, size=count))
            done += count
        return round(done / (time.perf_counter() - start), 1)
    finally:
        envs.close()


def random_play(steps: int, seed: int) -> dict[str, int]:
    """Badges and maps that random play sees."""
    env, generator, badges, maps = gym.make(ENV, observation="state"), np.random.default_rng(seed), 0, set()
    env.reset(seed=seed)
    for _ in range(steps):
        info = env.step(generator.integers(15))[4]
        badges = max(badges, info["badges"])
        maps.add(info["map"])
    env.close()
    return {"badges": badges, "maps": len(maps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of decisions")
    parser.add_argument("--random-steps", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3, help="of random play")
    parser.add_argument("--save", action="store_true", help="write results/monsters_speed.json")
    args = parser.parse_args()

    figures: dict[str, Any] = {"decoding": decoding()}
    print(figures["decoding"], flush=True)
    figures["decisions_per_second"] = {str(count): decisions_per_second(count, args.seconds) for count in args.envs}
    print(figures["decisions_per_second"], flush=True)
    figures["random_play"] = [random_play(args.random_steps, seed) for seed in range(args.seeds)]
    print(args.random_steps, "steps of random play:", figures["random_play"], flush=True)
    if args.save:
        print("Written:", _results.save("monsters_speed", figures))


if __name__ == "__main__":
    main()
