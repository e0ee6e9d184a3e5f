"""Weights & Biases (extra ``wandb``): metrics, and what lies in the run's folder to be looked at."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hakisa_algos.errors import ConfigError, require
from hakisa_algos.training.chronicle import CHRONICLE, MAP, milestone_rows
from hakisa_algos.training.metrics import plain_numbers
from hakisa_algos.training.now import NOW

EVERY_S = 60.0  # between two of the same picture

_NO_WANDB = (
    "W&B does not let this machine in ({}): run wandb login, or set WANDB_API_KEY; or log with wandb=offline (--wandb "
    "offline), and upload that later by wandb sync"
)


def check_wandb(mode: str) -> None:
    """Finds before a run begins what would end it at its start; asks nobody, in no terminal.

    Raises:
        MissingExtraError: the package is not installed.
        ConfigError: ``mode`` is online, and this machine has no key for that.
    """
    wandb = require("wandb", "wandb")
    if mode != "online":
        return
    try:
        known = wandb.login(prompt=False, verify=False)
    except Exception as error:  # a key of another form
        raise ConfigError(_NO_WANDB.format(error)) from error
    if not known:
        raise ConfigError(_NO_WANDB.format("no key is configured"))


class WandbSink:
    """A Weights & Biases run (extra ``wandb``); nothing of it is imported before this is constructed.

    ``mode="offline"`` needs no network: ``wandb sync`` uploads ``folder/wandb/`` later. With the same ``run_id`` a
    resumed run continues its curves.

    What lies in ``folder`` goes along, at most once a minute: now.png, map.png, the milestones and new videos.
    """

    def __init__(
        self,
        folder: Path,
        *,
        project: str,
        name: str,
        config: Mapping[str, Any],
        mode: Literal["online", "offline"] = "online",
        run_id: str | None = None,
    ) -> None:
        self._wandb = wandb = require("wandb", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run: Any = wandb.init(
                project=project,
                name=name,
                config=dict(config),
                dir=str(folder),
                mode=mode,
                id=run_id,
                resume="allow" if run_id and mode == "online" else None,
                # Silent: the console view owns the terminal. No code is uploaded, no terminal output captured.
                settings=wandb.Settings(silent=True, console="off", save_code=False, disable_git=True),
            )
        except wandb.Error as error:
            raise ConfigError(_NO_WANDB.format(error)) from error
        # Without this W&B plots against its own count of log calls, which a resumed run repeats.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        self._folder, self._step = folder, 0
        self._sent = dict.fromkeys(self._files(), time.time())  # what a resumed run finds there is known already

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log one row, and what is new in the run's folder."""
        self._step = int(step)
        self._run.log({"step": self._step} | plain_numbers(metrics) | self._news(EVERY_S))

    def close(self) -> None:
        """Log what is new, and finish the run; online, this waits for the upload."""
        if self._run is not None:
            if news := self._news(0.0):
                self._run.log({"step": self._step} | news)
            self._run.finish()
            self._run = None

    def _files(self) -> list[Path]:
        shown = (self._folder / name for name in (NOW, MAP, CHRONICLE))
        return [*filter(Path.is_file, shown), *sorted((self._folder / "videos").glob("*.mp4"))]

    def _news(self, wait: float) -> dict[str, Any]:
        """What has changed, of each file at most every ``wait`` seconds; a video only once it rests."""
        found: dict[str, Any] = {}
        now = time.time()
        for path in self._files():
            with contextlib.suppress(OSError):  # somebody has just removed it
                sent, changed = self._sent.get(path, 0.0), path.stat().st_mtime
                if changed > sent and now - sent >= wait and (path.suffix != ".mp4" or now - changed >= wait):
                    found |= self._shown(path)
                    self._sent[path] = now
        return found

    def _shown(self, path: Path) -> dict[str, Any]:
        if path.suffix == ".mp4":
            return {f"videos/{path.stem}": self._wandb.Video(str(path), format="mp4")}
        if path.suffix == ".png":
            return {f"pictures/{path.stem}": self._wandb.Image(str(path))}
        heads, rows = milestone_rows(json.loads(path.read_text(encoding="utf-8")))
        return {"milestones": self._wandb.Table(list(heads), [list(row) for row in rows])} if rows else {}
