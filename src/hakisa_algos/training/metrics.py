"""Where metrics go: ``metrics.jsonl`` always, TensorBoard and :mod:`.weights_and_biases` when asked."""

from __future__ import annotations

import json
import logging
import math
import numbers
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from hakisa_algos.data.files import write_text
from hakisa_algos.errors import ConfigError, RunFolderError, require

logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes metrics; anything with these two methods is one."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records metrics (their names: docs/metrics.md) after ``step`` env steps, never fewer than before.

        A metric that is no number is a ConfigError.
        """

    def close(self) -> None:
        """Flush and let go; a second call does nothing."""


class JsonlSink:
    """One JSON object per line and per write: ``{"step": 1024, "rollout/ep_rew_mean": 21.5, ...}``.

    The file is strict JSON: a value that is NaN or infinite is written as ``null``, which every reader takes
    as missing. Each line is flushed, so that a kill costs at most the line being written; a torn last line is
    dropped at the next opening.

    Args:
        path: the file; it is made, or appended to.
        resume_step: the step of the checkpoint that is resumed from. Lines of later steps are dropped: the
            resumed run will write them again. ``None`` (default) keeps all.
    """

    def __init__(self, path: Path, resume_step: int | None = None) -> None:
        if path.exists():
            _mend(path, resume_step)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (open until close())

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line and flush it."""
        line: dict[str, float | None] = {"step": int(step)}
        for name, value in plain_numbers(metrics).items():
            line[name] = None if isinstance(value, float) and not math.isfinite(value) else value
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoardSink:
    """TensorBoard event files (extra ``tensorboard``); it hides those of later steps than ``resume_step``."""

    def __init__(self, folder: Path, resume_step: int | None = None) -> None:
        require("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        purge_step = None if resume_step is None else resume_step + 1
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one scalar event per metric."""
        for name, value in plain_numbers(metrics).items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is pending and close."""
        self._writer.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, each with its ``"step"`` (int) and its metrics.

    A value that was not finite comes back as NaN. A torn last line (the run was killed, or is writing it) is
    left out.

    Raises:
        RunFolderError: there is no such file, or a line in the middle is damaged.
    """
    if not path.is_file():
        raise RunFolderError(f"{path} is missing; a run writes it with its first update; pass a run's metrics.jsonl")
    rows = []
    for number, line, row in _lines(path):
        if row is None:
            if not line.endswith("\n"):
                break
            raise RunFolderError(
                f"{path} line {number} is {line.strip()[:60]!r}; each line is a JSON object with an "
                "int 'step'; remove this line"
            )
        rows.append({name: math.nan if value is None else value for name, value in row.items()})
    return rows


def _mend(path: Path, resume_step: int | None) -> None:
    """Drop torn and damaged lines, and those after ``resume_step``; atomic, so a kill costs nothing."""
    kept, dropped = [], 0
    for _, line, row in _lines(path):
        if row is None or not line.endswith("\n"):
            dropped += 1
        elif resume_step is None or row["step"] <= resume_step:
            kept.append(line)
    if dropped:
        logger.warning("%s: dropped %d damaged line(s), as a killed run leaves behind", path, dropped)
    write_text(path, "".join(kept))


def _lines(path: Path) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Line number, text, and what it says (None: damaged)."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield number, line, row if isinstance(row, dict) and type(row.get("step")) is int else None


def plain_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics in Python's own numbers; also those of NumPy and torch, as callbacks add them, become such."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            plain = value.item() if hasattr(value, "item") else value
        except (ValueError, RuntimeError):  # an array or tensor of several
            plain = None
        if not isinstance(plain, numbers.Real) or name == "step":
            raise ConfigError(
                f"metric {name!r} is {value!r}; a metric is one number, and 'step' is the name of the env steps; see "
                "what adds it to the metrics: a callback, or the learner's update"
            )
        found[name] = int(plain) if isinstance(plain, numbers.Integral) else float(plain)
    return found
