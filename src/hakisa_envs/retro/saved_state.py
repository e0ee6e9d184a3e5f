"""A core's state, packed so that it says whose it is.

A core takes any bytes of the right size, and then runs one game's program on another's memory; so a state says which
ROM it is of, which core wrote it, and what its bytes are: in files and in the states of envs alike. A file is what
stable-retro reads as well: gzip, whose header has room for a comment, and the comment is this in JSON.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zlib
from dataclasses import asdict, dataclass

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


def pack(data: bytes, origin: Origin, level: int = 9) -> bytes:
    """A core's state and its origin, compressed: at level 1 in a fraction of the time."""
    comment = json.dumps({**asdict(origin), "sha256": hashlib.sha256(data).hexdigest()}, sort_keys=True)
    deflated = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflated.compress(data) + deflated.flush()
    trailer = struct.pack("<II", zlib.crc32(data), len(data))
    return _HEADER + comment.encode("ascii") + b"\x00" + body + trailer


def unpack(packed: bytes, expected: Origin, name: str, vouched: bool = False) -> bytes:
    """The core's state in what `pack` made, if it is one of ``expected``.

    Args:
        packed: The packed state.
        expected: Whose state it must be.
        name: What to call it in messages: its file, most of the time.
        vouched: It need not say, because it came with the game's data.

    Raises:
        StateError: If it is broken, says nothing of its origin, or is of another ROM, core or version.
    """
    try:
        data = gzip.decompress(packed)
        if not data:
            raise EOFError("it is empty")
    except (OSError, EOFError, zlib.error) as error:
        raise StateError(f"{name} is no state or a broken one ({error}): record it anew.") from error
    said = _comment(packed)
    if said is None and vouched:
        return data
    if said is None:
        raise StateError(
            f"{name} does not say which ROM it is of, and a core takes any bytes of the right size: "
            "load it in the emulator that wrote it, or record it anew (hakisa retro state)."
        )
    if said.pop("sha256", None) != hashlib.sha256(data).hexdigest():
        raise StateError(f"{name} was changed after it was written: record it anew.")
    for part, wanted in asdict(expected).items():
        if said.get(part) != wanted:
            raise StateError(
                f"{name} is of {part} {said.get(part)!r}, and this game has {wanted!r}: "
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
