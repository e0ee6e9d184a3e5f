"""Files that are there whole or not at all, and that are read only if they are what was written. No pickle.

A file is written under a temporary name, flushed to the disk and renamed, which is atomic. JSON documents carry their
own checksum; the checksums of other files stand in the document that lists them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from hakisa_algos.errors import CheckpointError

TEMPORARY = ".tmp-"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> dict[str, Any]:
    """Writes a safetensors file, or nothing, and returns its ``{"size": bytes, "sha256": hexadecimal}``."""
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        try:
            safetensors.torch.save_file(dict(tensors), temporary, metadata)
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error  # a full disk, in its words
        flush(temporary)
        facts = {"size": temporary.stat().st_size, "sha256": sha256(temporary)}
        os.replace(temporary, path)
    except Exception:
        temporary.unlink(missing_ok=True)  # a full disk should not stay full
        raise
    return facts


def write_text(path: Path, text: str) -> None:
    """Puts a text file in place of the one that was there."""
    temporary = path.with_name(TEMPORARY + path.name)
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    flush(path.parent)


def write_json(path: Path, value: Any) -> None:
    """The same of what JSON can say."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_document(path: Path, kind: str, version: int, content: Mapping[str, Any]) -> None:
    """Writes ``content`` as JSON with what it is, its version and its own checksum."""
    document = {"format": kind, "version": version, **content}
    write_text(path, json.dumps({**document, "sha256": _digest(document)}, indent=1, allow_nan=False))


def read_document(path: Path, kind: str, version: int, fix: str) -> dict[str, Any]:
    """What :func:`write_document` wrote.

    Raises:
        CheckpointError: it is damaged, changed, something else, or of another version; ends with ``fix``.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        digest, found, of_version = (document.pop(name) for name in ("sha256", "format", "version"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged or not ours ({type(error).__name__}: {str(error)[:200]}); it must be the JSON that "
            f"Hakisa wrote, with its checksum; {fix}"
        ) from error
    check_version(path, found, of_version, kind, version)
    document = {"format": found, "version": of_version, **document}
    try:
        whole = digest == _digest(document)
    except ValueError:  # a NaN
        whole = False
    if not whole:
        raise CheckpointError(
            f"{path} does not match its own checksum: it was changed or damaged after it was written; {fix}"
        )
    return document


def check_version(path: Path, found: Any, of_version: Any, kind: str, version: int) -> None:
    """Refuses what this version of Hakisa cannot read: a CheckpointError."""
    if found != kind:
        raise CheckpointError(f"{path} has the format {found!r}; it must be {kind!r}; pass what Hakisa wrote")
    if type(of_version) is int and of_version > version:
        raise CheckpointError(
            f"{path} has format version {of_version}; this Hakisa reads up to {version}; upgrade it: "
            "pip install -U hakisa"
        )
    if of_version != version:
        raise CheckpointError(
            f"{path} has format version {of_version}, of an earlier Hakisa, which this one cannot read (it reads "
            f"{version}); train again, or go on with the one that wrote it, which system.json in its run folder names"
        )


def verify(path: Path, size: int, digest: str, fix: str) -> None:
    """Refuses a file that is missing, cut short or changed, after reading it once: a CheckpointError."""
    verify_size(path, size, fix)
    if sha256(path) != digest:
        raise CheckpointError(
            f"{path} does not have the SHA-256 that it was written with; it was damaged or changed; {fix}"
        )


def verify_size(path: Path, size: int, fix: str) -> None:
    """The part of :func:`verify` that reads nothing."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; what was saved with it lists it; {fix}")
    found = path.stat().st_size
    if found != size:
        raise CheckpointError(f"{path} has {found} bytes instead of {size}: it is cut short or was changed; {fix}")


def sha256(path: Path) -> str:
    """Of a file, which is never in memory as a whole."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Forces a file, or the names in a folder, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
