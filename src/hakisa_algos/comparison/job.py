"""Runs one job into a folder of its own, which holds its result once it is done, and only then."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.comparison.plan import Job
from hakisa_algos.comparison.players import Interrupted, Player, make_player
from hakisa_algos.comparison.summary import NOT_FILMED, WAYS
from hakisa_algos.data.files import write_json
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import Stopped
from hakisa_algos.film import try_to_film
from hakisa_algos.policy.precision import torch_threads
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.run_folder import system_info
from hakisa_algos.training.signals import StopSignals

RESULT, ERROR, VIDEO, LOG = "result.json", "error.txt", "video.mp4", "log.txt"
# Episodes that an evaluation plays side by side. A fixed number, because the seeds of episodes depend on it.
_TOGETHER = 20
# What an evaluation is for; part of its seed, so that no two share an episode.
_CURVE, _DETERMINISTIC, _STOCHASTIC, _FILM = range(4)


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """Trains, evaluates and films; what was in ``folder`` from an earlier attempt, but for its log, is thrown away.

    What depends on the job alone (all but times and the machine) is the same at every attempt, unless
    ``protocol.minutes`` cut it off. Nothing is written where a signal (:class:`Interrupted`) or an error ends it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    player = make_player(job)
    try:
        recorder = _Recorder(player, job)
        recorder.train()
        episodes = job.protocol.final_episodes
        final = {
            way: _evaluate(player, job, episodes, _seed(job, purpose), way == "deterministic").plain()
            for way, purpose in zip(WAYS, (_DETERMINISTIC, _STOCHASTIC), strict=True)
        }
        result = {
            "job": dataclasses.asdict(job),
            "config": player.config,
            "source": player.source,
            "steps": recorder.steps,
            "seconds": recorder.seconds,
            "ended_by": recorder.ended_by,
            "curve": recorder.curve,
            "final": final,
            "video": _film(player, job, folder),
            "system": system_info(job.protocol.threads),
        }
    finally:
        player.close()
    write_json(folder / RESULT, result)
    return result


def load_result(job: Job, folder: Path) -> dict[str, Any] | None:
    """The result of exactly this job, if ``folder`` holds it."""
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("job") == json.loads(json.dumps(dataclasses.asdict(job)))
    return found if same else None


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != LOG:
            left.unlink()


class _Recorder:
    """Evaluates along the way, counts training time without evaluations, and ends a run whose minutes are over."""

    def __init__(self, player: Player, job: Job) -> None:
        self._player, self._job = player, job
        self.curve: list[dict[str, Any]] = []
        self.steps, self.seconds = 0, 0.0
        self.ended_by = "steps"
        self._since = time.perf_counter()

    def train(self) -> None:
        """Trains, with a point before it, several along the way and one at the end."""
        self._add_point(0)
        self._since = time.perf_counter()
        self.steps = self._player.train(self._watch)
        self.seconds += time.perf_counter() - self._since
        if self.steps > self.curve[-1]["step"]:
            self._add_point(self.steps)

    def _watch(self, step: int) -> bool:
        """See :data:`hakisa_algos.comparison.players.Watch`."""
        protocol = self._job.protocol
        self.seconds += time.perf_counter() - self._since
        # An update that is larger than a stretch makes one point, not two.
        last_stretch = self.curve[-1]["step"] * protocol.points // protocol.steps
        if step * protocol.points >= (last_stretch + 1) * protocol.steps:
            self._add_point(step)
        self._since = time.perf_counter()
        over = protocol.minutes is not None and self.seconds >= 60 * protocol.minutes
        if over and step < protocol.steps:
            self.ended_by = "minutes"
        return not over

    def _add_point(self, step: int) -> None:
        seed = _seed(self._job, _CURVE, len(self.curve))
        found = _evaluate(self._player, self._job, self._job.protocol.curve_episodes, seed)
        self.curve.append({"step": step, "seconds": self.seconds, "returns": found.returns.tolist()})


def _evaluate(player: Player, job: Job, episodes: int, seed: int, deterministic: bool = True) -> Evaluation:
    protocol = job.protocol
    if not deterministic:
        player.seed(seed)
    envs = make_envs(job.env, min(episodes, _TOGETHER), protocol.env_options)
    try:
        # In training, too, where the trainer would hear a signal only after the evaluation.
        with StopSignals() as signals, torch_threads(protocol.threads):
            return evaluate(
                player.policy,
                envs,
                episodes=episodes,
                seed=seed,
                deterministic=deterministic,
                device=player.device,
                max_steps=protocol.evaluate_steps,
                stop=lambda: signals.name is not None,
            )
    except Stopped as error:
        raise Interrupted(signals.name, str(error)) from error
    finally:
        envs.close()


def _film(player: Player, job: Job, folder: Path) -> dict[str, Any]:
    protocol, path = job.protocol, folder / VIDEO
    if not protocol.film_steps:
        return {"missing": NOT_FILMED}
    how = {"seed": _seed(job, _FILM), "device": player.device, "max_steps": protocol.film_steps}
    return try_to_film(player.policy, job.env, protocol.env_options, path, **how)


def _seed(job: Job, purpose: int, index: int = 0) -> int:
    """The same for every algorithm, so that all are measured on the same episodes; none that another run plays."""
    return int(np.random.SeedSequence((job.seed, purpose, index)).generate_state(1, np.uint64)[0] >> 2)
