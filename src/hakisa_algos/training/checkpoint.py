"""Checkpoints: the whole training state on disk, whole or not at all.

    checkpoints/
        step_000001024/       tensors.safetensors  arrays.npz  state.json
        step_000002048/
        latest                text: the folder name of the newest good one
        best                  text: likewise, set by mark_best

A checkpoint is written beside under a temporary name; its files and folder are flushed to the disk, it is
renamed, and only then is ``latest`` replaced, which is atomic. Whenever the process or the machine dies,
``latest`` names a complete checkpoint. Nothing here is pickled, and loading cannot run code: safetensors, npz
with ``allow_pickle=False``, and JSON that decodes to plain types (see :mod:`.state_codec`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from hakisa_algos.errors import CheckpointError
from hakisa_algos.training.state_codec import StateEncoder, decode

FORMAT = "hakisa-checkpoint"
VERSION = 1

_TENSORS, _ARRAYS, _STATE = "tensors.safetensors", "arrays.npz", "state.json"
_NAME = re.compile(r"step_\d{9,}(-\d+)?")
_TEMPORARY = ".tmp-"


def save_checkpoint(folder: Path, state: Mapping[str, Any], *, keep: int = 3) -> Path:
    """Write ``state`` as a new checkpoint and make it the latest one.

    Args:
        folder: the ``checkpoints`` folder; made if missing. One process at a time may save into it.
        state: nested dict / list / tuple of tensors (dense, any dtype but complex128, any device; they come
            back on the CPU, without gradient), NumPy arrays and scalars (any dtype without objects), int of
            any size, float (NaN and infinities too), bool, str and None. Keys are str or int; any other
            mapping comes back as a dict. ``state["step"]``, an int >= 0, names the checkpoint.
        keep: how many of the newest checkpoints stay, this one included; the best stays besides.

    Returns:
        The folder of the new checkpoint: ``step_000001024``, or ``step_000001024-2`` if that step was saved
        before.

    Raises:
        CheckpointError: the state holds something else; nothing was written.
        OSError: the disk failed; the checkpoint that was the latest still is.
    """
    folder = Path(folder)
    step = state.get("step")
    if type(step) is not int or step < 0:
        raise CheckpointError(f'state["step"] is {step!r}; it must be an int >= 0, to name the checkpoint; add it')
    if keep < 1:
        raise CheckpointError(f"keep is {keep}; it must be at least 1, the checkpoint just written")
    encoder = StateEncoder()
    encoded = encoder.encode(state)

    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    target = _free_target(folder, f"step_{step:09d}")
    temporary = folder / f"{_TEMPORARY}{target.name}"
    try:
        _write_files(temporary, encoder, encoded)
        temporary.rename(target)
        _flush(folder)
    except Exception:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk should not stay full
        raise
    _point(folder, "latest", target.name)
    _prune(folder, keep)
    return target


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read a checkpoint back, tensors on the CPU.

    Args:
        folder: the ``checkpoints`` folder (its latest one is read), one checkpoint folder, or a pointer file
            such as ``checkpoints/best``.

    Raises:
        CheckpointError: there is none, or it is damaged, not ours, or from a newer version; says which file,
            what was found, and what to do.
    """
    checkpoint = find_checkpoint(folder)
    document = _read_state(checkpoint)
    for name, facts in document["files"].items():
        _verify(checkpoint / name, facts)
    try:
        # Cloned, because load_file maps the file: a tensor must not change or vanish with it.
        loaded = safetensors.torch.load_file(checkpoint / _TENSORS)
        tensors = {name: tensor.clone() for name, tensor in loaded.items()}
        with np.load(checkpoint / _ARRAYS, allow_pickle=False) as archive:
            arrays = {name.removesuffix(".npy"): archive[name] for name in archive.zip.namelist()}
        state = decode(document["state"], tensors, arrays)
        if not isinstance(state, dict):
            raise TypeError(f"the state is a {type(state).__name__}, not a dict")
        return state
    except Exception as error:  # the checksums hold, so save_checkpoint did not write this
        raise CheckpointError(
            f"{checkpoint} does not decode ({type(error).__name__}: {error}); a checkpoint is what "
            f"save_checkpoint wrote, unedited; {_another(checkpoint)}"
        ) from error


def mark_best(checkpoint: Path) -> None:
    """Let the pointer ``best`` beside ``checkpoint`` name it; it is then never pruned.

    Raises:
        CheckpointError: ``checkpoint`` is not a checkpoint folder.
    """
    checkpoint = Path(checkpoint)
    if not (_NAME.fullmatch(checkpoint.name) and (checkpoint / _STATE).is_file()):
        raise CheckpointError(f"{checkpoint} is not a checkpoint; pass what save_checkpoint returned")
    _point(checkpoint.parent, "best", checkpoint.name)


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint folder that ``folder`` (see :func:`load_checkpoint`) stands for.

    Raises:
        CheckpointError: there is none.
    """
    folder = Path(folder)
    if (folder / _STATE).exists() or _NAME.fullmatch(folder.name):
        checkpoint = folder
    else:
        pointer = folder / "latest" if folder.is_dir() else folder
        checkpoint = pointer.parent / _read_pointer(pointer)
    if not (checkpoint / _STATE).is_file():
        raise CheckpointError(
            f"{checkpoint / _STATE} is missing; every checkpoint has this file; {_another(checkpoint)}"
        )
    return checkpoint


def _read_pointer(pointer: Path) -> str:
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"no checkpoint in {pointer.parent}: {pointer.name!r} cannot be read ({error}); a folder of "
            f"checkpoints has it after the first save; {_another(pointer)}"
        ) from error
    if not _NAME.fullmatch(name):  # also keeps "../.." from leading outside
        raise CheckpointError(
            f"{pointer} says {name[:60]!r}; it must name a checkpoint beside it, such as 'step_000001024'; "
            f"{_another(pointer)}"
        )
    return name


def _read_state(checkpoint: Path) -> dict[str, Any]:
    """state.json, its own checksum, format and version verified."""
    path = checkpoint / _STATE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        digest = document.pop("sha256") if isinstance(document, dict) else None
        whole = digest is not None and digest == hashlib.sha256(_canonical(document)).hexdigest()
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged or not ours ({type(error).__name__}: {str(error)[:200]}); it must be the "
            f"JSON that save_checkpoint wrote, with its checksum; {_another(checkpoint)}"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise CheckpointError(
            f"{path} has the format {found!r}; Hakisa reads {FORMAT!r} only; pass a folder that save_checkpoint wrote"
        )
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise CheckpointError(
            f"{path} has format version {version}; this Hakisa reads up to {VERSION}; upgrade it: pip install -U hakisa"
        )
    files = document.get("files")
    listed = isinstance(files, dict) and set(files) == {_TENSORS, _ARRAYS}
    listed = listed and all(isinstance(facts, dict) for facts in document["files"].values())
    if not whole or version != VERSION or not listed:
        raise CheckpointError(
            f"{path} does not match its own checksum; it was changed or damaged after it was written; "
            f"{_another(checkpoint)}"
        )
    return document


def _verify(path: Path, facts: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; {_STATE} lists it; {_another(path.parent)}")
    size = path.stat().st_size
    if size != facts.get("size"):
        raise CheckpointError(
            f"{path} has {size} bytes; {_STATE} says {facts.get('size')}: it is cut short or was changed; "
            f"{_another(path.parent)}"
        )
    if _sha256(path) != facts.get("sha256"):
        raise CheckpointError(
            f"{path} does not have the SHA-256 that {_STATE} says; it was damaged or changed; {_another(path.parent)}"
        )


def _another(near: Path) -> str:
    """The fix, in words: the other checkpoints that could be loaded instead."""
    others = [path for path in _checkpoints(near.parent) if path != near]
    if not others:
        return "there is no other checkpoint beside it: train again, or restore it from a backup"
    return f"load another one: {', '.join(str(path) for path in others[-3:])}"


def _write_files(temporary: Path, encoder: StateEncoder, encoded: Any) -> None:
    temporary.mkdir()
    safetensors.torch.save_file(encoder.tensors, temporary / _TENSORS)
    _write_arrays(temporary / _ARRAYS, encoder.arrays)
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION, "files": {}, "state": encoded}
    for name in (_TENSORS, _ARRAYS):
        path = temporary / name
        document["files"][name] = {"size": path.stat().st_size, "sha256": _sha256(path)}
    document["sha256"] = hashlib.sha256(_canonical(document)).hexdigest()
    _write_text(temporary / _STATE, json.dumps(document, indent=1, allow_nan=False))
    for path in (temporary / _TENSORS, temporary / _ARRAYS, temporary):
        _flush(path)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """As np.savez writes it, but with any name: savez itself cannot store an array called "file"."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _write_text(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _flush(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point(folder: Path, pointer: str, name: str) -> None:
    temporary = folder / f"{_TEMPORARY}{pointer}"
    _write_text(temporary, name + "\n")
    os.replace(temporary, folder / pointer)
    _flush(folder)


def _free_target(folder: Path, name: str) -> Path:
    target, count = folder / name, 1
    while target.exists():
        count += 1
        target = folder / f"{name}-{count}"
    return target


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, oldest write first (not by step: a run may be resumed from before its latest)."""
    named = [path for path in folder.glob("step_*") if _NAME.fullmatch(path.name)]
    whole = [path for path in named if (path / _STATE).is_file()]
    return sorted(whole, key=lambda path: ((path / _STATE).stat().st_mtime_ns, path.name))


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _prune(folder: Path, keep: int) -> None:
    pointers = [path for path in (folder / "latest", folder / "best") if path.exists()]
    pointed = {path.read_text(encoding="utf-8").strip() for path in pointers}
    for path in _checkpoints(folder)[:-keep]:
        if path.name not in pointed:
            # Renamed first: a kill in the middle of the removal must not leave half a checkpoint by its name.
            doomed = path.rename(folder / f"{_TEMPORARY}old-{path.name}")
            shutil.rmtree(doomed)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
