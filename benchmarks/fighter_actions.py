"""Which actions are worth having on the Fighter: PPO with several action sets, by rounds won after the same decisions.

Macros (combos and motion specials) are compared with combos against the zoner; combos with what is common elsewhere, a
direction or an attack but never both, against the turtle. Agents see what a picture shows as numbers, since then a
run takes a minute or two: the game is its own C as a library (`_fighter`). Each run is a result of its own, and what
is there already is not run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import tempfile
import time
from typing import Any

import _results
import numpy as np
from _fighter import BITS, FighterEnvs, Native, build, two_pads

from hakisa_algos import PPO
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_envs.retro.street_fighter.actions import COMBOS, DIRECTIONS, ActionSet
from hakisa_envs.retro.street_fighter.opponents import STRENGTHS

SKIP = 12  # frames of a decision, but for motion specials
CONTESTS = {"zoner": ("macros", "combos"), "turtle": ("combos", "either")}
ROUNDS = 400
CONFIG = PPOConfig(
    num_envs=16,
    n_steps=64,
    epochs=4,
    minibatch_size=256,
    learning_rate=1e-3,
    gamma=0.9,
    entropy_coefficient=0.01,
    entropy_schedule="linear",
    clip_schedule="linear",
    hidden_sizes=(256, 256),
)


def actions_of(name: str) -> list[dict[int, np.ndarray]]:
    """Pads of each action for a fighter who looks to the right (1) and to the left (-1)."""
    known = ActionSet("macros" if name == "macros" else "combos", SKIP, "tap", list(BITS))
    numbers = list(range(len(known.meanings())))
    if name == "either":
        numbers = [number for number, combo in enumerate(COMBOS) if len(combo) < 2 or combo in DIRECTIONS]
    bits = np.array(list(BITS.values()))
    return [{facing: two_pads(known.pads(number, facing) @ bits) for facing in (1, -1)} for number in numbers]


def run(game: Native, name: str, opponent: tuple[str, str], seed: int, steps: int) -> dict[str, Any]:
    """Trains one agent, and plays rounds that it has not seen."""
    actions = actions_of(name)
    envs, fresh = (FighterEnvs(game, CONFIG.num_envs, opponent, actions) for _ in range(2))
    agent = PPO(envs, dataclasses.replace(CONFIG, total_steps=steps), seed=seed, threads=1, eval_env=fresh)
    began = time.perf_counter()
    agent.learn(collapse="off")
    found: dict[str, Any] = {"minutes": round((time.perf_counter() - began) / 60, 2)}
    for kind, deterministic in (("sampled", False), ("best_actions", True)):
        rates = agent.evaluate(ROUNDS, seed=seed, deterministic=deterministic).rates
        assert rates is not None
        win = rates.win
        found[kind] = {"won": round(win.value, 4), "interval": [round(win.low, 4), round(win.high, 4)]}
        found[kind]["rounds"] = rates.games
    agent.close()
    return found


def main() -> None:
    """Runs what is missing, or what was run with other hyperparameters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", nargs="+", default=list(CONTESTS), choices=CONTESTS)
    parser.add_argument("--strengths", nargs="+", default=["normal"], choices=STRENGTHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=200_000, help="decisions of each run")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        game = Native(build(folder))
        for style, strength in itertools.product(arguments.styles, arguments.strengths):
            for name in CONTESTS[style]:
                against = style if strength == "normal" else f"{style}_{strength}"
                path = _results.RESULTS / f"fighter_actions_{against}_{name}.json"
                before = json.loads(path.read_text()) if path.is_file() else {}
                settings = json.loads(json.dumps(dataclasses.asdict(CONFIG) | {"total_steps": arguments.steps}))
                runs = before["runs"] if before.get("config") == settings else {}
                for seed in arguments.seeds:
                    if str(seed) in runs:
                        continue
                    runs[str(seed)] = run(game, name, (style, strength), seed, arguments.steps)
                    print(style, strength, name, seed, runs[str(seed)], flush=True)
                    figures = {"opponent": f"{style} {strength}", "actions": name, "frame_skip": SKIP}
                    _results.save(path.stem, {**figures, "config": settings, "runs": runs})


if __name__ == "__main__":
    main()
