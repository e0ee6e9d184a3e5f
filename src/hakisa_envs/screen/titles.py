"""Titles of windows, in whatever encoding the property that holds them has."""

from __future__ import annotations

import re

# Compound text, which is ISO 2022: the final byte of a sequence that puts a set of 96 characters into the upper half.
UPPER = {
    "A": "iso8859-1", "B": "iso8859-2", "C": "iso8859-3", "D": "iso8859-4", "F": "iso8859-7", "G": "iso8859-6",
    "H": "iso8859-8", "L": "iso8859-5", "M": "iso8859-9", "V": "iso8859-10", "Y": "iso8859-13", "_": "iso8859-14",
    "b": "iso8859-15", "f": "iso8859-16",
}  # fmt: skip
# The same for sets of two bytes, in the lower half or the upper; the codecs want them in the upper.
WIDE = {"A": "gb2312", "B": "euc_jp", "C": "euc_kr"}
ESCAPE = re.compile(rb"\x1b(%G|%@|%/[0-4]..|[-(),$]+[0-~])", re.DOTALL)


def decode_title(value: bytes, compound: bool) -> str:
    """The text of a property.

    Args:
        value: Its bytes.
        compound: Whether it is of the type COMPOUND_TEXT; what others are called tells little.
    """
    if compound:
        return _decode_compound(value)
    try:
        # Programs write UTF-8 into a STRING, which is Latin-1, and the other way round.
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def why_no_match(pattern: str, titles: list[str]) -> str:
    """A sentence on how a pattern would fit one of these titles, which it does not; empty if it would not."""
    for title in titles:
        if re.search(pattern, title, re.IGNORECASE):
            return f" {title!r} differs in small and capital letters; '(?i){pattern}' fits it."
        if pattern.strip("^$") in title:
            return f" {title!r} has these characters, but some mean another in a pattern; '{re.escape(title)}' fits it."
    return ""


def _decode_compound(value: bytes) -> str:
    parts = ESCAPE.split(value)
    text, upper, wide, whole = parts[0].decode("iso8859-1"), "iso8859-1", "", ""
    for escape, part in zip(parts[1::2], parts[2::2], strict=True):
        sequence = escape.decode("latin-1")
        if sequence in ("%G", "%@"):
            whole = "utf-8" if sequence == "%G" else ""
        elif sequence.startswith("%/"):  # the length is in two bytes, then the name of an encoding, then its text
            name, _, rest = part.partition(b"\x02")
            text += rest.decode(name.decode("latin-1").lower(), errors="replace") if _known(name) else ""
            continue
        elif sequence.startswith("$"):
            wide = WIDE.get(sequence[-1], "")
        elif sequence.startswith("("):
            wide = ""
        else:
            upper, wide = UPPER.get(sequence[-1], upper), ""
        if wide:
            text += bytes(byte | 0x80 for byte in part).decode(wide, errors="replace")
        else:
            text += part.decode(whole or upper, errors="replace")
    return text


def _known(encoding: bytes) -> bool:
    try:
        b"".decode(encoding.decode("latin-1").lower())
    except LookupError:
        return False
    return True
