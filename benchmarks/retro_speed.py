"""Speed of emulated consoles: decisions of four frames against stable-retro's env, frames, and many envs together.

A decision of the Fighter is a step of `Hakisa/Fighter-v0` by random play, with the 14 numbers that it reads after
each frame, its reward and its observation: pictures of 84 x 84, which RetroEnv does not shrink, or numbers alone.
Resets count as time, and not as decisions. There is no env of Airstriker: of it, and of the Fighter beside its env, is
told what envs ask of the emulator, four frames with two numbers read after each, and one picture. Against all these
stand four `RetroEnv.step` with one pad. It is processor time, each figure from a process of its own in turn.

Then two processes with an env each are compared with eight envs in Hakisa's vector env and in Gymnasium's
AsyncVectorEnv, in turn and by the clock: nothing else should run then.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import _results
import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv

import hakisa_envs  # noqa: F401
from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.find import imported
from hakisa_envs.retro.game_files import HOMEBREW, GameFiles, Variable, homebrew

FIGHTER, AIRSTRIKER = "HakisaFighter-Genesis-v0", "Airstriker-Genesis-v0"
STATES = {FIGHTER: "mixed.normal.left", AIRSTRIKER: "Level1"}
ENV = "Hakisa/Fighter-v0"
SKIP, ENVS, PROCESSES = 4, 8, 2
WARMING = 200  # decisions before the clock runs


def per_second(act: Callable[[], None], seconds: float) -> float:
    """How often ``act`` is done in a second of the processor's time."""
    for _ in range(100):
        act()
    count, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for _ in range(50):
            act()
        count += 50
    return count / (time.process_time() - start)


def files_of(game: str) -> GameFiles:
    return homebrew(game) if game == FIGHTER else imported(game)


def frames(game: str, seconds: float) -> float:
    """Frames a second, of which nothing is read."""
    files = files_of(game)
    with Emulator(files) as emulator:
        emulator.set_core(gzip.decompress((files.states / f"{STATES[game]}.state").read_bytes()))
        return per_second(emulator.advance, seconds)


def emulator_decisions(game: str, seconds: float) -> float:
    """Decisions a second of the emulator alone."""
    files = files_of(game)
    with Emulator(files) as emulator:
        emulator.set_core(gzip.decompress((files.states / f"{STATES[game]}.state").read_bytes()))
        watched = [Variable(0xFF0000, ">i2"), Variable(0xFF0002, ">i2")]
        pads = [np.tile(emulator.mask(buttons), (SKIP, 1)) for buttons in (["RIGHT"], ["LEFT"], ["B"], [])]
        turn = iter(range(10**9))

        def decide() -> None:
            emulator.play(pads[next(turn) % len(pads)], watched, lambda numbers: False)
            emulator.picture()

        return per_second(decide, seconds)


def env_decisions(game: str, seconds: float, observation: str = "pixels") -> float:
    """Decisions a second of our env."""
    env = gym.make(ENV, frame_skip=SKIP, states=STATES[game], observation=observation)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=10_000).tolist()  # type: ignore[attr-defined]
    turn = iter(range(10**9))

    def decide() -> None:
        _, _, terminated, truncated, _ = env.step(actions[next(turn) % len(actions)])
        if terminated or truncated:
            env.reset()

    speed = per_second(decide, seconds)
    env.close()
    return speed


def retro_env_decisions(game: str, seconds: float) -> float:
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


def against_retro_env(game: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Our decisions and stable-retro's, in turn."""
    ours: dict[str, Callable[[str, float], float]] = {"emulator": emulator_decisions}
    if game == FIGHTER:
        ours |= {"env": env_decisions, "env_of_numbers": partial(env_decisions, observation="ram")}
    ways = {"frames": frames, **ours, "retro_env": retro_env_decisions}
    rows = [{name: alone(way, game, seconds) for name, way in ways.items()} for _ in range(rounds)]
    return {
        "a_second": {name: round(statistics.median(row[name] for row in rows), 1) for name in ways},
        "times_retro_env": {
            name: round(statistics.median(row[name] / row["retro_env"] for row in rows), 3) for name in ours
        },
        "all_rounds": [{name: round(value, 1) for name, value in row.items()} for row in rows],
    }


def solo(make: Callable[[], gym.Env[Any, Any]], begin: float, seconds: float, seed: int) -> float:
    """Decisions a second of one env, by the clock, from a moment on at which others begin, too."""
    env = make()
    env.reset(seed=seed)
    env.action_space.seed(seed)

    def decide() -> None:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()

    for _ in range(WARMING):
        decide()
    late = time.time() - begin
    if late > 0:
        raise TimeoutError(f"An env was ready {late:.1f} s too late: give --ready more seconds.")
    time.sleep(-late)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        decide()
        count += 1
    speed = count / (time.perf_counter() - start)
    env.close()
    return speed


def two_solo(seconds: float, ready: float) -> float:
    """Decisions a second of two processes that know nothing of each other."""
    make, begin = partial(gym.make, gym.spec(ENV)), time.time() + ready
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(solo, make, begin, seconds, seed) for seed in range(PROCESSES)]
        return sum(each.result() for each in running)


def together(envs: gym.vector.VectorEnv[Any, Any, Any], seconds: float) -> float:
    """Decisions a second of a vector env; rows in which an env was reset are none."""
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = [envs.action_space.sample() for _ in range(1000)]
    over, count, start = np.zeros(envs.num_envs, bool), 0, time.perf_counter()
    for step in range(10**9):
        if step == WARMING // envs.num_envs:
            count, start = 0, time.perf_counter()
        elif count and time.perf_counter() - start >= seconds:
            break
        _, _, terminated, truncated, _ = envs.step(actions[step % len(actions)])
        count += int((~over).sum())
        over = terminated | truncated
    speed = count / (time.perf_counter() - start)
    envs.close()
    return speed


def side_by_side(rounds: int, seconds: float, ready: float) -> dict[str, Any]:
    """Eight envs in either vector env against two processes with an env each."""
    makers = [partial(gym.make, gym.spec(ENV))] * ENVS
    rows = []
    for _ in range(rounds):
        row = {"two_solo": two_solo(seconds, ready), "hakisa": together(gym.make_vec(ENV, ENVS), seconds)}
        row["async_vector_env"] = together(AsyncVectorEnv(makers, context="forkserver"), seconds)
        rows.append({name: round(value, 1) for name, value in row.items()})
    shares = {
        name: round(statistics.median(row[name] / row["two_solo"] for row in rows), 3)
        for name in ("hakisa", "async_vector_env")
    }
    return {"envs": ENVS, "processes_alone": PROCESSES, "share_of_two_solo": shares, "decisions_per_second": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ready", type=float, default=15.0, help="seconds until both envs alone must be ready")
    parser.add_argument("--only", nargs="+", default=["retro_env", "together"], choices=["retro_env", "together"])
    parser.add_argument("--save", action="store_true", help="write results/retro_speed.json and retro_together.json")
    args = parser.parse_args()

    load = {"frames_of_a_decision": SKIP, "load_before": os.getloadavg()[0]}
    found: dict[str, dict[str, Any]] = {}
    if "retro_env" in args.only:
        found["retro_speed"] = {game: against_retro_env(game, args.rounds, args.seconds) for game in STATES}
    if "together" in args.only:
        found["retro_together"] = side_by_side(args.rounds, args.seconds, args.ready)
    for name, figures in found.items():
        print(name, figures, flush=True)
        if args.save:
            print("Written:", _results.save(name, load | figures))


if __name__ == "__main__":
    main()
