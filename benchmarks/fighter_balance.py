"""How good the Fighter's computer opponents are: rounds won against them by random play, one action, one macro.

Everything is played from both sides, and attack buttons are let go of on each decision's last frame, since the game
heeds presses only. The game is the ROM's own C built as a shared library (``make native``), which a test holds equal to
the ROM frame by frame; it plays a round in about a millisecond.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _results
import numpy as np
from _fighter import FACING, FIGHTING, INTRO, NOTHING, RESULT, ROUND_OVER, WINNER, Native, build, number_of, two_pads

from hakisa_envs.retro.street_fighter.opponents import STRENGTHS, STYLES

DEFAULT = ("mixed", "normal")

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
ATTACKS = {"": 0, "X": 0x400, "Y": 0x200, "Z": 0x100, "A": 0x40, "B": 0x10, "C": 0x20}
DIRECTIONS = {
    "": 0, "U": UP, "D": DOWN, "L": LEFT, "R": RIGHT,
    "UL": UP | LEFT, "UR": UP | RIGHT, "DL": DOWN | LEFT, "DR": DOWN | RIGHT,
}  # fmt: skip
SKIP = 4  # frames of a decision


def combos() -> dict[str, list[int]]:
    """Every direction with every attack or none: the pad of each frame of a decision."""
    return {
        f"{direction or '.'}+{attack or '.'}": [DIRECTIONS[direction] | ATTACKS[attack]] * (SKIP - 1)
        + [DIRECTIONS[direction]]
        for direction, attack in itertools.product(DIRECTIONS, ATTACKS)
    }


def macros() -> dict[str, list[int]]:
    """Sequences of frames for a fighter that looks to the right."""
    ball = [DOWN] * 2 + [DOWN | RIGHT] * 2 + [RIGHT]
    jump = [UP | RIGHT] * 4 + [0] * 22
    jump_kick = [*jump, *[ATTACKS["C"]] * 4, *[0] * 14]
    return {
        **{f"fireball {name}": [*ball, *[RIGHT | ATTACKS[name]] * 2, 0] for name in "XYZ"},
        "jump in Z": [*jump, *[ATTACKS["Z"]] * 4, *[0] * 14],
        "jump in C": jump_kick,
        **{f"jump in C, {name}": [*jump_kick, *[DOWN | ATTACKS[name]] * 3, *[0] * 9] for name in "YBC"},
        "walk in, throw": [*[RIGHT] * 6, RIGHT | 0x100, RIGHT | 0x100, 0, 0],
    }  # fmt: skip


def mirrored(pads: list[int]) -> list[int]:
    """The same for a fighter that looks to the left."""
    sides = LEFT | RIGHT
    return [pad ^ sides if pad & sides in (LEFT, RIGHT) else pad for pad in pads]


@dataclass(frozen=True)
class Task:
    """Rounds to be played: ``policy`` is ``"random"``, or the name of a combo or macro."""

    policy: str
    opponent: tuple[str, str]
    swapped: bool
    rounds: int
    seed: int


def rounds(game: Native, task: Task) -> Iterator[None]:
    """Brings the game to the start of one round after another, of whole matches."""
    generator = np.random.default_rng(task.seed)
    number = number_of(task.opponent)
    for count in range(task.rounds):
        if count == 0 or game.phase not in (INTRO, FIGHTING):
            game.begin(number, task.swapped, int(generator.integers(1, 2**32)))
        game.play(NOTHING, 1000)
        yield
        while game.phase in (ROUND_OVER, RESULT):
            game.play(NOTHING, 1000)


def play(library: Path, task: Task) -> dict[str, Any]:
    """Plays a task: how many rounds were won, drawn, and how long they were."""
    game, generator = Native(library), np.random.default_rng(task.seed + 1)
    frames_of = [two_pads(pads) for pads in combos().values()]
    fixed = combos().get(task.policy)
    macro = macros().get(task.policy)
    won, drawn, seen, lengths = 0, 0, set(), []
    for _ in rounds(game, task):
        assert game.phase == FIGHTING
        length = 0
        if fixed is not None:
            length = game.play(two_pads(fixed), 100_000)
        while game.phase == FIGHTING:
            if macro is None:
                pads = frames_of[int(generator.integers(len(frames_of)))]
            else:
                right = game.ram[FACING] == 1
                pads = two_pads(macro if right else mirrored(macro))
            length += game.play(pads, len(pads))
        winner = int(game.ram[WINNER])
        won += winner == 1
        drawn += winner == 0
        lengths.append(length)
        seen.add(game.ram.tobytes())
    return {"task": task, "won": won, "drawn": drawn, "distinct": len(seen), "frames": float(np.mean(lengths))}


def wilson(won: int, played: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, won / played
    middle, width = share + z * z / (2 * played), z * math.sqrt(share * (1 - share) / played + z * z / (4 * played**2))
    return tuple(round((middle + sign * width) / (1 + z * z / played), 4) for sign in (-1, 1))  # type: ignore[return-value]


def measure(
    pool: ProcessPoolExecutor, library: Path, wanted: list[tuple[str, tuple[str, str]]], count: int
) -> list[dict[str, Any]]:
    """Rows of the table: each policy against each opponent, from both sides."""
    tasks = [
        Task(policy, opponent, swapped, count // 2, 1000 * number)
        for number, (policy, opponent) in enumerate(wanted)
        for swapped in (False, True)
    ]
    done = list(pool.map(play, [library] * len(tasks), tasks, chunksize=2))
    rows = []
    for left, right in zip(done[::2], done[1::2], strict=True):
        won, played = left["won"] + right["won"], left["task"].rounds * 2
        rows.append(
            {
                "policy": left["task"].policy,
                "opponent": " ".join(left["task"].opponent),
                "rounds": played,
                "distinct": left["distinct"] + right["distinct"],
                "won": round(won / played, 4),
                "interval": wilson(won, played),
                "won_from_left": round(2 * left["won"] / played, 4),
                "won_from_right": round(2 * right["won"] / played, 4),
                "drawn": round((left["drawn"] + right["drawn"]) / played, 4),
                "decisions_a_round": round((left["frames"] + right["frames"]) / 2 / SKIP),
            }
        )
    return rows


def show(row: dict[str, Any]) -> None:
    print(
        f"{row['opponent']:15} {row['policy']:16} won {row['won']:6.1%}  from left {row['won_from_left']:6.1%}  "
        f"right {row['won_from_right']:6.1%}  drawn {row['drawn']:6.1%}  {row['decisions_a_round']:4} decisions"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="of random play, and of the best of all others")
    parser.add_argument("--screen", type=int, default=100, help="rounds of each constant, to find the best")
    parser.add_argument("--best", type=int, default=5, help="how many of the best are played for all the rounds")
    parser.add_argument("--strengths", nargs="+", default=["normal"], choices=STRENGTHS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write results/fighter_balance.json")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(args.processes) as pool:
        library = build(folder)
        constants = [*combos(), *macros()]
        table: list[dict[str, Any]] = []
        screens: dict[str, dict[str, float]] = {}
        beaten: dict[str, set[str]] = {}
        for opponent in itertools.product(STYLES, args.strengths):
            screened = measure(pool, library, [(name, opponent) for name in constants], args.screen)
            best = sorted(screened, key=lambda row: -row["won"])[: args.best]
            wanted = [("random", opponent), *((row["policy"], opponent) for row in best)]
            rows = measure(pool, library, wanted, args.rounds)
            table += rows
            for row in rows:
                show(row)
            print(flush=True)
            screens[" ".join(opponent)] = {row["policy"]: row["won"] for row in screened}
            for row in (*screened, *rows):
                if row["policy"] != "random" and row["won"] > 0.5:
                    beaten.setdefault(row["policy"], set()).add(row["opponent"])
    most = sorted(beaten.items(), key=lambda item: -len(item[1]))[:5]
    print("Constants that win more than half of their rounds against several:", most or "none")
    if args.save:
        figures = {
            "decision_frames": SKIP,
            "rows": table,
            f"won of {args.screen} rounds each": screens,
            "beaten by one constant in more than half of the rounds": {
                name: sorted(who) for name, who in beaten.items()
            },
        }
        print("Written:", _results.save("fighter_balance", figures))


if __name__ == "__main__":
    main()
