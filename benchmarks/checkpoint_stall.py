"""How long a run stands still at a checkpoint: DQN on Pong with a ring of 200,000 transitions (1.4 GB).

    python benchmarks/checkpoint_stall.py                       # this checkout
    python benchmarks/checkpoint_stall.py --before ../other     # and another one, for comparison

Measured is the time from one callback to the next. A checkpoint lies between two of them, and for some seconds after it
the rows may still be written; both are compared with the usual pause. The first checkpoint has the whole ring to write,
the others what is new.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
# Afterwards a checkpoint is surely written.
WRITING_S = 30.0


def measure(ring: int, every: int, checkpoints: int) -> dict[str, Any]:
    """Seconds between callbacks at, soon after and far from checkpoints."""
    from hakisa_algos import DQN
    from hakisa_algos.learners.dqn import DQNConfig

    # As on pictures by default, but for the ring, and that it learns from the first rows on.
    learning = DQNConfig(
        total_steps=100_000_000,
        buffer_size=ring,
        learning_starts=1_000,
        train_every=8,
        gradient_steps=2,
        batch_size=32,
        n_step=3,
        learning_rate=1e-4,
        dueling=True,
        target_every=2_000,
        normalize_observation=True,
    )
    if "learn_beside" in {field.name for field in dataclasses.fields(learning)}:  # elsewhere it needs no asking
        learning = dataclasses.replace(learning, learn_beside=True)
    filling = dataclasses.replace(learning, train_every=4_096, gradient_steps=1)
    agent = DQN("Hakisa/Pong-v0", filling)
    # The step of each callback, and when it came.
    seen: list[tuple[int, float]] = []

    def note(trainer: Any, metrics: Any) -> bool:
        seen.append((trainer.step, time.perf_counter()))
        return len(seen) < 2 or trainer.step < end or seen[-1][1] - saved_at(seen, every) < WRITING_S

    agent.learn(callbacks=[lambda trainer, metrics: trainer.step < ring], collapse="off")  # the ring is full
    agent.learner.config = learning
    end = (ring // every + 1 + checkpoints) * every
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        agent.learn(run=Path(folder) / "run", callbacks=[note], checkpoint_every=every, collapse="off")
    agent.close()
    return summary(seen, every)


def saved_at(seen: list[tuple[int, float]], every: int) -> float:
    """When the callback before the last checkpoint came."""
    for (step, at), (before, _) in zip(reversed(seen[1:]), reversed(seen[:-1]), strict=True):
        if step // every != before // every:
            return at
    return seen[0][1]


def summary(seen: list[tuple[int, float]], every: int) -> dict[str, Any]:
    """The pauses by where they lie."""
    at, after, usual = [], [], []
    last = -WRITING_S
    for (before, _), (step, began), (_, ended) in zip(seen, seen[1:], seen[2:], strict=False):
        pause = ended - began
        if step // every != before // every:
            last = began
            at.append(pause)
        else:
            (after if began - last < WRITING_S else usual).append(pause)
    if not (at and after and usual):
        sys.exit("the run was stopped before a checkpoint, or soon after it")
    typical = statistics.median(usual)
    return {
        "usual_median_s": typical,
        "usual_longest_s": max(usual),
        "at_checkpoints_s": at,
        "longest_while_writing_s": max(after),
        "stands_still_s": max(*at, max(after)) - typical,
    }


def measured_in(checkout: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The same in a process of its own, with the code of ``checkout``."""
    options = [f"--{name}={getattr(arguments, name)}" for name in ("ring", "every", "checkpoints")]
    done = subprocess.run(
        [sys.executable, str(HERE), "--measure", *options],
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{checkout.name}: stands still for {result['stands_still_s']:.3f} s", file=sys.stderr)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--ring", type=int, default=200_000, help="transitions")
    parser.add_argument("--every", type=int, default=50_000, help="env steps between checkpoints")
    parser.add_argument("--checkpoints", type=int, default=3, help="how many")
    parser.add_argument("--no-save", action="store_true", help="do not write results/")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.ring, arguments.every, arguments.checkpoints)))
        return
    figures = {"ring": arguments.ring, "now": measured_in(HERE.parents[1], arguments)}
    if arguments.before:
        figures["before"] = measured_in(arguments.before.resolve(), arguments)
    if not arguments.no_save:
        import _results

        _results.save("checkpoint_stall", figures)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
