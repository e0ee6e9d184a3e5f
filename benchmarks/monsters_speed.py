"""Speed of Monsters: what decoding costs a step, decisions a second by number of envs, by random play and while PPO of
the preset "monsters" learns beside it, and how far random play comes.

Decoding is processor time, so other work on the machine changes little; decisions, of 24 frames each, are by the clock.
Each part can be measured alone, and --save keeps what the file has of the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable
from typing import Any

import _results
import gymnasium as gym
import numpy as np

import hakisa_envs  # noqa: F401
from hakisa_algos import PPO
from hakisa_algos.cli.presets import GAMES
from hakisa_algos.learners.ppo_config import MONSTERS as PRESET
from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import homebrew
from hakisa_envs.retro.pokemon.emerald import read
from hakisa_envs.retro.pokemon.game import MONSTERS
from hakisa_envs.retro.pokemon.rewards import TABLES, RewardEngine

ENV, STATE, CALLS = "Hakisa/Monsters-v0", "oak", 2000
NAME, PARTS = "monsters_speed", ("decoding", "decisions_per_second", "learning", "random_play")


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


def learning(count: int, seconds: float, memory: str | None, threads: int | None) -> dict[str, Any]:
    """Decisions a second of ``count`` envs with PPO, updates included, after the first rollout and update."""
    config = dataclasses.replace(PRESET, num_envs=count, memory=memory)
    agent = PPO(ENV, config, threads=threads, env_options={**GAMES["monsters"][1], "state": STATE})
    clock: list[tuple[int, float]] = []
    shares: dict[str, float] = {}

    def watch(trainer: Any, metrics: Any) -> bool:
        clock.append((trainer.step, time.perf_counter()))
        shares.update({name: round(value, 3) for name, value in metrics.items() if name.endswith("_share")})
        return len(clock) < 2 or clock[-1][1] - clock[0][1] < seconds

    try:
        agent.learn(callbacks=[watch])
    finally:
        agent.close()
    (first, began), (last, ended) = clock[0], clock[-1]
    return {
        "decisions_per_second": round((last - first) / (ended - began), 1),
        "steps": last - first,
        "seconds": round(ended - began, 1),
        "torch_threads": agent.threads,
        "time_shares": shares,
    }


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
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of decisions by random play")
    parser.add_argument("--learning-envs", type=int, nargs="*", default=[8])
    parser.add_argument("--learning-seconds", type=float, default=60.0, help="at least, of each measurement with PPO")
    parser.add_argument("--threads", type=int, help="of torch; default: all cores")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--random-steps", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3, help="of random play")
    parser.add_argument("--save", action="store_true", help="write results/monsters_speed.json")
    args = parser.parse_args()

    parts: dict[str, Callable[[], Any]] = {
        "decoding": decoding,
        "decisions_per_second": lambda: {str(count): decisions_per_second(count, args.seconds) for count in args.envs},
        "learning": lambda: {
            f"{count} envs, {memory or 'no memory'}": learning(count, args.learning_seconds, memory, args.threads)
            for count in args.learning_envs
            for memory in ("lstm", None)
        },
        "random_play": lambda: {
            "steps": args.random_steps,
            "seeds": [random_play(args.random_steps, seed) for seed in range(args.seeds)],
        },
    }
    path = _results.RESULTS / f"{NAME}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    figures: dict[str, Any] = {part: known[part] for part in PARTS if part in known}
    for part in args.only:
        figures[part] = {"command": _results.command(), "load_before": round(os.getloadavg()[0], 2), **parts[part]()}
        print(part, figures[part], flush=True)
    if args.save:
        print("Written:", _results.save(NAME, figures))


if __name__ == "__main__":
    main()
