"""Runs one job into a folder of its own, which holds its result once it is done, and only then."""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.comparison.contestant import Contestant, Interrupted
from hakisa_algos.comparison.plan import Job
from hakisa_algos.comparison.players import make_contestant
from hakisa_algos.comparison.summary import NOT_FILMED
from hakisa_algos.errors import MissingExtraError
from hakisa_algos.film import film
from hakisa_algos.training.run_folder import system_info

RESULT, ERROR, VIDEO, LOG = "result.json", "error.json", "video.mp4", "log.txt"
# Episodes that an evaluation plays side by side. A fixed number, because the seeds of episodes depend on it.
_TOGETHER = 20
# What an evaluation is for; part of its seed, so that no two share an episode.
_CURVE, _DETERMINISTIC, _STOCHASTIC, _FILM = range(4)


def run_job(job: Job, folder: Path) -> dict[str, Any] | None:
    """Trains, evaluates and films; what was in ``folder`` from an earlier attempt, but for its log, is thrown away.

    What depends on the job alone (all but times and the machine) is the same at every attempt, unless
    ``protocol.minutes`` cut it off.

    Returns:
        The result, as result.json holds it; None if it failed, which error.json then tells.

    Raises:
        Interrupted: a signal ended it; nothing is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _clear(folder)
        result = _run(job, folder)
    except Interrupted:
        raise
    except Exception as error:
        write_error(job, folder, f"{type(error).__name__}: {error}", traceback.format_exc())
        return None
    write_json(folder / RESULT, result)
    return result


def load_result(job: Job, folder: Path) -> dict[str, Any] | None:
    """The result of exactly this job, if ``folder`` holds it."""
    found = _read(folder / RESULT)
    return found if found is not None and found.get("job") == json.loads(json.dumps(job.plain())) else None


def write_error(job: Job, folder: Path, error: str, told: str = "") -> None:
    """Says that ``job`` failed and why; ``told`` is the traceback, if there is one."""
    write_json(folder / ERROR, {"job": job.plain(), "error": error, "traceback": told})


def load_error(folder: Path) -> str | None:
    """Why the job of ``folder`` failed, if it did."""
    found = _read(folder / ERROR)
    return None if found is None else str(found["error"])


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a file that is whole or not there, whatever happens meanwhile."""
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _clear(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != LOG:
            left.unlink()


class _Recorder:
    """Evaluates along the way, counts training time without evaluations, and ends a run whose minutes are over."""

    def __init__(self, contestant: Contestant, job: Job) -> None:
        self._contestant, self._job = contestant, job
        self.curve: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.ended_by = "steps"
        self._since = time.perf_counter()

    def __call__(self, step: int) -> bool:
        """See :data:`hakisa_algos.comparison.contestant.Watch`."""
        protocol = self._job.protocol
        self._stop()
        # The point before training is at 0; an update that is larger than a stretch makes one point, not two.
        if step * protocol.points >= (self._last_stretch + 1) * protocol.steps:
            self.evaluate(step)
        self._since = time.perf_counter()
        over = protocol.minutes is not None and self.seconds >= 60 * protocol.minutes
        if over and step < protocol.steps:
            self.ended_by = "minutes"
        return not over

    @property
    def _last_stretch(self) -> int:
        last: int = self.curve[-1]["step"]
        return last * self._job.protocol.points // self._job.protocol.steps

    def _stop(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def start(self) -> None:
        """Training begins now."""
        self._since = time.perf_counter()

    def finish(self) -> None:
        """Training has ended."""
        self._stop()
        if self._contestant.steps > self.curve[-1]["step"]:
            self.evaluate(self._contestant.steps)

    def evaluate(self, step: int) -> None:
        """Adds a point to the curve."""
        episodes = self._job.protocol.curve_episodes
        seed = _seed(self._job, _CURVE, len(self.curve))
        found = self._contestant.evaluate(episodes, seed=seed, deterministic=True, num_envs=min(episodes, _TOGETHER))
        self.curve.append({"step": step, "seconds": self.seconds, "returns": found.returns.tolist()})


def _run(job: Job, folder: Path) -> dict[str, Any]:
    contestant = make_contestant(job)
    try:
        recorder = _Recorder(contestant, job)
        recorder.evaluate(0)
        recorder.start()
        contestant.train(recorder)
        recorder.finish()
        return {
            "job": job.plain(),
            "config": contestant.identity()["config"],
            "source": contestant.source,
            "steps": contestant.steps,
            "seconds": recorder.seconds,
            "ended_by": recorder.ended_by,
            "curve": recorder.curve,
            "final": {
                "deterministic": _final(contestant, job, True, _DETERMINISTIC),
                "stochastic": _final(contestant, job, False, _STOCHASTIC),
            },
            "video": _film(contestant, job, folder),
            "system": system_info(job.protocol.threads),
        }
    finally:
        contestant.close()


def _final(contestant: Contestant, job: Job, deterministic: bool, purpose: int) -> dict[str, Any]:
    found = contestant.evaluate(
        job.protocol.final_episodes, seed=_seed(job, purpose), deterministic=deterministic, num_envs=_TOGETHER
    )
    return {"returns": found.returns.tolist(), "lengths": found.lengths.tolist()}


def _film(contestant: Contestant, job: Job, folder: Path) -> dict[str, Any]:
    if not job.protocol.film_steps:
        return {"missing": NOT_FILMED}
    try:
        made = film(contestant, folder / VIDEO, seed=_seed(job, _FILM), longest=job.protocol.film_steps)
    except MissingExtraError as error:
        return {"missing": f"{error.name} is not installed ({error})"}
    except Exception as error:  # whatever a renderer raises: the training is done, and must not be lost with the film
        return {"missing": str(error) or type(error).__name__}
    return {"file": VIDEO, "return": made.episode_return, "steps": made.steps, "over": made.over}


def _seed(job: Job, purpose: int, index: int = 0) -> int:
    """The same for every algorithm, so that all are measured on the same episodes; none that another run plays."""
    return int(np.random.SeedSequence((job.seed, purpose, index)).generate_state(1, np.uint64)[0] >> 2)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
