"""A core's state in a file that says whose it is.

A core takes any bytes of the right size, and then runs one game's program on another's memory; so a state says which
ROM it is of, which core wrote it, and what its bytes are. The file is what stable-retro reads as well: gzip, whose
header has room for a comment, and the comment is this in JSON.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from hakisa_envs.retro.errors import StateError

_HEADER = b"\x1f\x8b\x08\x10" + b"\x00" * 4 + b"\x02\xff"  # gzip with a comment, no time: same state, same file


@dataclass(frozen=True)
class Origin:
    """What a state is of.

    Attributes:
        rom_sha1: Of the whole ROM file, in hex.
        core: The console's name in stable-retro, such as ``"Genesis"``.
        version: Of stable-retro, which brings the core, as ``"1.0"``: what comes after mends and does not change cores.
    """

    rom_sha1: str
    core: str
    version: str


def write_state(path: Path, data: bytes, origin: Origin) -> None:
    """Write a core's state and its origin."""
    comment = json.dumps({**asdict(origin), "sha256": hashlib.sha256(data).hexdigest()}, sort_keys=True)
    deflated = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflated.compress(data) + deflated.flush()
    trailer = struct.pack("<II", zlib.crc32(data), len(data))
    path.write_bytes(_HEADER + comment.encode("ascii") + b"\x00" + body + trailer)


def read_state(path: Path, expected: Origin, vouched: bool = False) -> bytes:
    """The core's state in a file, if it is one of ``expected``.

    Args:
        path: The file.
        expected: Whose state it must be.
        vouched: It need not say, because it came with the game's data.

    Raises:
        StateError: If the file is missing, broken, says nothing of its origin, or is of another ROM, core or version.
    """
    if not path.is_file():
        raise StateError(f"There is no state {path}: name one of the game's, or a file that is there.")
    packed = path.read_bytes()
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise StateError(f"{path} is no state or a broken one ({error}): record it anew.") from error
    said = _comment(packed)
    if said is None and vouched:
        return data
    if said is None:
        raise StateError(
            f"{path} does not say which ROM it is of, and a core takes any bytes of the right size: "
            "load it in the emulator that wrote it, or record it anew (hakisa retro state)."
        )
    if said.pop("sha256", None) != hashlib.sha256(data).hexdigest():
        raise StateError(f"{path} was changed after it was written: record it anew.")
    for name, wanted in asdict(expected).items():
        if said.get(name) != wanted:
            raise StateError(
                f"{path} is of {name} {said.get(name)!r}, and this game has {wanted!r}: "
                "use a state of this very game and core, or record it anew."
            )
    return data


def _comment(packed: bytes) -> dict[str, str] | None:
    if packed[:4] != _HEADER[:4]:
        return None
    end = packed.find(b"\x00", len(_HEADER))
    try:
        said = json.loads(packed[len(_HEADER) : end])
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
