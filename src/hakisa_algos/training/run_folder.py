"""The folder of one run: what was asked for, on what machine, and everything that came of it.

runs/ppo-CartPole-v1-1/
    config.json     fully resolved configuration, and what was changed in it since; enough to resume
    system.json     versions and machine
    metrics.jsonl   checkpoints/   videos/   evaluations/
    lock            held by who trains in it (see hakisa_algos.training.lock)
"""

from __future__ import annotations

import json
import logging
import math
import platform
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from hakisa_algos.data.files import TEMPORARY, write_json
from hakisa_algos.errors import ConfigError, RunFolderError, did_you_mean, require
from hakisa_algos.machine import available_cores, version_of
from hakisa_algos.training.lock import LOCK, FolderLock
from hakisa_algos.training.metrics import JsonlSink, Sink, TensorBoardSink
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.weights_and_biases import WandbSink, check_wandb

logger = logging.getLogger(__name__)

_DISTRIBUTIONS = ("hakisa", "torch", "numpy", "gymnasium", "ale-py")


class RunFolder:
    """One run on disk. Make one with :meth:`create` or :meth:`open`.

    Attributes:
        path: the folder.
        config: what config.json says, as plain dicts, lists and scalars.
        lock: held by whoever trains in it.
        discarded: it was new, and is gone again, since what it should log to could not be opened.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.lock = FolderLock(path)
        self.discarded = self._new = False

    @classmethod
    def create(cls, path: Path | str, config: Mapping[str, Any], *, threads: int | None = None) -> RunFolder:
        """A new run folder with config.json and system.json in it.

        To the configuration (dicts, lists, paths and finite scalars) come ``run_id``, which no other run
        has, and ``changes``, none so far (see :meth:`record`). ``threads`` is what torch will train with.

        Raises:
            RunFolderError: ``path`` is a file, or a folder with something in it, perhaps a run that goes on; or it
                cannot be made.
            ConfigError: the configuration holds what JSON cannot.
        """
        try:
            return cls._create(path, config, threads)
        except OSError as error:
            raise RunFolderError(
                f"{path} cannot be made ({error.strerror or error}); a run needs a folder that can be written; choose "
                "another"
            ) from error

    @classmethod
    def _create(cls, path: Path | str, config: Mapping[str, Any], threads: int | None) -> RunFolder:
        plain = _plain(config, "config") | {"run_id": uuid.uuid4().hex, "changes": []}
        path = Path(path)
        run = cls(path, plain)
        if free := _is_free(path):
            path.mkdir(parents=True, exist_ok=True)
        if free or (path / LOCK).is_file():
            run.lock.acquire()  # two may begin at once
        try:
            if not _is_free(path):
                begun = (path / "config.json").is_file()
                go_on = f"continue that run with {shlex.join(['hakisa', 'resume', str(path)])}, or " if begun else ""
                raise RunFolderError(
                    f"{path} exists and is not empty; a run needs a folder of its own; {go_on}choose another name, "
                    f"such as {free_path(path)}"
                )
            # First, so that whatever ends this later leaves a run that can be resumed.
            write_json(path / "config.json", plain)
            write_json(path / "system.json", system_info(threads))
            run.checkpoints.mkdir()
        finally:
            run.lock.release()
        run._new = True
        return run

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """An existing run folder, to resume, evaluate or report on. Nothing in it is changed.

        A warning is logged when versions or machine are not those of the beginning: the run goes on, but not
        bit for bit as it would have.

        Raises:
            RunFolderError: not a run folder, or its config.json is damaged.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            siblings = [sibling.parent.name for sibling in path.parent.glob("*/config.json")]
            raise RunFolderError(
                f"{path} is not a run folder: it has no config.json; pass a folder that 'hakisa train' made."
                + did_you_mean(path.name, siblings)
            )
        config = _read_json(path / "config.json")
        if (path / "system.json").is_file():
            before, now = _read_json(path / "system.json"), system_info()
            del now["threads"]  # how many will be used is not known yet
            changed = [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]
            if changed:
                logger.warning("%s began on another system; not bitwise: %s", path, ", ".join(changed))
        return cls(path, config)

    def record(self, config: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> None:
        """Writes what has become of the configuration into config.json, where it stays readable at every moment.

        Args:
            config: what has another value now.
            changes: ``step``, ``field``, ``from`` and ``to`` of each change; those that stand there already are not
                repeated, as when a run was killed before its first checkpoint after them.
        """
        told = self.config.get("changes", [])
        new = [change for change in _plain(changes, "changes") if change not in told]
        self.config = self.config | _plain(config, "config") | {"changes": [*told, *new]}
        write_json(self.path / "config.json", self.config)

    @contextmanager
    def sinks(self, options: RunOptions, step: int) -> Iterator[list[Sink]]:
        """Opens all places that metrics go to; what they hold of later steps than ``step`` is dropped.

        A folder that was made just now goes away again if that fails, so that it is not in the way of the next try.
        """
        with ExitStack() as opened:
            sinks: list[Sink] = []
            if self._new:
                opened.callback(self._discard_if_new)
            sinks += [opened.enter_context(closing(JsonlSink(self.metrics, step)))]
            if options.tensorboard:
                sinks.append(opened.enter_context(closing(TensorBoardSink(self.path / "tensorboard", step))))
            if options.wandb != "off":
                run_id = self.config.get("run_id")
                online = WandbSink(
                    self.path,
                    project=options.wandb_project,
                    name=self.path.name,
                    config=self.config,
                    mode=options.wandb,
                    # Not its name: two machines may have runs of the same one.
                    run_id=run_id if isinstance(run_id, str) else None,
                )
                sinks.append(opened.enter_context(closing(online)))
            self._new = False
            yield sinks

    def _discard_if_new(self) -> None:
        if self._new:
            self.discarded = True
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def metrics(self) -> Path:
        """The metrics file (see :class:`.metrics.JsonlSink`)."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints (see :mod:`.checkpoint`)."""
        return self.path / "checkpoints"


def check_installed(options: RunOptions) -> None:
    """Finds before a run begins that what it is to log to is not there (see :func:`.check_wandb`)."""
    if options.tensorboard:
        require("tensorboard", "tensorboard")
    if options.wandb != "off":
        check_wandb(options.wandb)


def default_run_path(algorithm: str, env_id: str, seed: int, root: Path | str = "runs") -> Path:
    """A free path for a new run: ``runs/ppo-CartPole-v1-1``, then ``runs/ppo-CartPole-v1-1-2``, and so on."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{algorithm}-{env_id}-{seed}").strip("-.")
    return free_path(Path(root) / name)


def free_path(path: Path) -> Path:
    """The first of ``path``, ``path-2``, ``path-3``, ... that does not exist, or is an empty folder."""
    free, count = path, 1
    while not _is_free(free):
        count += 1
        free = path.with_name(f"{path.name}-{count}")
    return free


def _is_free(path: Path) -> bool:
    """Nothing is there, or what one who was killed has left before anything was."""
    if not path.is_dir():
        return not path.exists()
    return all(each.name == LOCK or each.name.startswith(TEMPORARY) for each in path.iterdir())


def system_info(threads: int | None = None) -> dict[str, Any]:
    """Versions and machine, as they stand in system.json: what a figure must be read with."""
    import torch

    versions = {name: version_of(name) for name in _DISTRIBUTIONS}
    return {
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "threads": threads or torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": _commit(),
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        text = ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model.group(1) if model else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout that this package runs from, "+" behind it if files differ; else None."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str:
        command = ["git", "-C", str(here.parent), *words]
        return subprocess.run(command, check=True, capture_output=True, timeout=10, text=True).stdout.strip()

    try:
        # An installed package may lie in somebody's checkout (in its .venv): only a tracked file counts.
        git("ls-files", "--error-unmatch", here.name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _plain(value: Any, key: str) -> Any:
    """``value`` as JSON can say it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{key}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ConfigError(
        f"{key} is {value!r} ({type(value).__name__}); config.json holds finite numbers, text, lists and "
        "dicts, so that a run can be resumed from it; pass a name or a number instead (None for no limit), or, for an "
        "option of an env, an object that has as_option() (docs/contract.md)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} cannot be read ({error}); it must be JSON; restore it from a copy") from error
    if not isinstance(value, dict):
        raise RunFolderError(f"{path} holds a {type(value).__name__}; it must be a JSON object; restore it from a copy")
    return value
