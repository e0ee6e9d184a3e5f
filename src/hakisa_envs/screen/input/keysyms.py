"""What X calls the keys: numbers by their names, names by their numbers, and what may stand for a character."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import unicodedata

from hakisa_envs.errors import import_extra

# Sets of keysyms that are older than Unicode, by their number: the encoding that has their characters in that order.
SETS = {
    0x1: "iso8859-2", 0x2: "iso8859-3", 0x3: "iso8859-4", 0x5: "iso8859-6", 0x6: "koi8-u", 0xC: "iso8859-8",
    0xD: "tis-620", 0x13: "iso8859-15",
}  # fmt: skip
CURRENCY = range(0x20A0, 0x20AD)  # these have the numbers of Unicode
# Characters that X calls otherwise than Unicode does.
OTHERWISE = {
    "\n": "Return", "\t": "Tab", "\u03c2": "Greek_finalsmallsigma", "\u2019": "rightsinglequotemark",
    "\u2018": "leftsinglequotemark", "\u201c": "leftdoublequotemark", "\u201d": "rightdoublequotemark",
    "\u201a": "singlelowquotemark", "\u201e": "doublelowquotemark", "\u2122": "trademark",
    "\u2022": "enfilledcircbullet",
    "\u2026": "ellipsis", "\u2260": "notequal", "\u2264": "lessthanequal", "\u2265": "greaterthanequal",
    "\u0452": "Serbian_dje", "\u0402": "Serbian_DJE", "\u045b": "Serbian_tshe", "\u040b": "Serbian_TSHE",
    "\u0453": "Macedonia_gje", "\u0403": "Macedonia_GJE", "\u045c": "Macedonia_kje", "\u040c": "Macedonia_KJE",
    "\u0455": "Macedonia_dse", "\u0405": "Macedonia_DSE", "\u045e": "Byelorussian_shortu",
    "\u040e": "Byelorussian_SHORTU", "\u2190": "leftarrow", "\u2191": "uparrow", "\u2192": "rightarrow",
    "\u2193": "downarrow", "\u215b": "oneeighth", "\u215c": "threeeighths", "\u215d": "fiveeighths",
    "\u215e": "seveneighths", "\u2030": "permille",
}  # fmt: skip


@functools.cache
def lookup(name: str) -> int:
    """The number of an X keysym by its name, whether it may be pressed or not; 0 if there is none."""
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    value: int = xk.string_to_keysym(name) or names().get(name, 0)
    if value == 0:
        with contextlib.suppress(OSError, ValueError):  # it comes with every X server, and knows what is newer
            library = ctypes.CDLL("libX11.so.6")
            library.XStringToKeysym.restype = ctypes.c_ulong
            value = library.XStringToKeysym(name.encode("ascii"))
    return value


def name_of(value: int) -> str | None:
    """The shortest name of an X keysym, if it has one."""
    return min((name for name, number in names().items() if number == value), key=len, default=None)


@functools.cache
def names() -> dict[str, int]:
    """All names of X keysyms that python-xlib knows, the usual ones first; its `XK` loads only these."""
    definitions = import_extra("Xlib.keysymdef", extra="screen", needed_by="a live game")
    groups = ["latin1", "miscellany", *definitions.__all__]
    modules = [import_extra(f"Xlib.keysymdef.{group}", extra="screen", needed_by="a live game") for group in groups]
    found: dict[str, int] = {}
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("XK_"):
                found.setdefault(name.removeprefix("XK_"), value)
    found.setdefault("EuroSign", 0x20AC)  # which it lacks
    return found


def character_keysyms(character: str) -> list[int]:
    """What a key may make to type a character, the likeliest first."""
    number = ord(character)
    if character in OTHERWISE:
        return [lookup(OTHERWISE[character]), 0x1000000 | number]
    found = [number] if number < 256 or number in CURRENCY else [lookup(name) for name in _names_of(character)]
    if number > 255 and unicodedata.category(character) not in ("So", "Sm"):  # signs for drawing have no keys there
        for group, encoding in SETS.items():
            with contextlib.suppress(UnicodeEncodeError):
                found.append(group << 8 | character.encode(encoding)[0])
    return [*filter(None, found), 0x1000000 | number]


def _names_of(character: str) -> list[str]:
    """GREEK SMALL LETTER ALPHA is Greek_alpha, CYRILLIC CAPITAL LETTER A is Cyrillic_A, NUMERO SIGN is numerosign."""
    words = unicodedata.name(character, "")
    plain = words.lower().replace(" ", "")
    script, _, letter = words.partition(" LETTER ")
    if not letter:
        return [plain]
    small = script.endswith(" SMALL")
    letter = letter.replace(" ", "")
    return [f"{script.split()[0].capitalize()}_{letter.lower() if small else letter}"]
