"""Names of keys and buttons, what must never be pressed, and which keycode a name stands for on a display."""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import functools
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.errors import InputError

BUTTONS = {"button1": 1, "button2": 2, "button3": 3}  # left, middle, right
WHEEL_UP, WHEEL_DOWN = 4, 5
LAYOUT_CHANGED = "keyboard layout changed"  # as a report says it
TYPED = "text:"  # and a character: a key that types it, with Shift and AltGr as the layout wants

# What a desktop, not a game, listens to. F12 is never pressed, so that in the kill chord it is always a person's.
DENIED = {"Super_L", "Super_R", "Hyper_L", "Hyper_R", "Meta_L", "Meta_R", "Print", "Sys_Req", "Menu"}
DENIED_PREFIX, XF86 = "XF86", range(0x10080000, 0x10090000)  # media, power, sleep, brightness
CONTROL, ALT = {"Control_L", "Control_R"}, {"Alt_L", "Alt_R"}
DENIED_WITH_ALT = {"F4", "Tab", "Escape", "space"}  # closes, switches or opens the menu of a window

# What other programs and people call them; written small and without "_", "-" and spaces.
ALIASES = {
    "enter": "Return", "esc": "Escape", "spacebar": "space", "del": "Delete", "ins": "Insert", "pgup": "Page_Up",
    "pgdn": "Page_Down", "pgdown": "Page_Down", "prior": "Page_Up", "next": "Page_Down", "shift": "Shift_L",
    "lshift": "Shift_L", "rshift": "Shift_R", "ctrl": "Control_L", "control": "Control_L", "lctrl": "Control_L",
    "rctrl": "Control_R", "alt": "Alt_L", "lalt": "Alt_L", "option": "Alt_L", "ralt": "Alt_R",
    "altgr": "ISO_Level3_Shift", "capslock": "Caps_Lock", "numlock": "Num_Lock", "dash": "minus", "hyphen": "minus",
    "dot": "period", "fullstop": "period", "backquote": "grave", "backtick": "grave", "tilde": "asciitilde",
    "quote": "apostrophe", "singlequote": "apostrophe", "doublequote": "quotedbl", "equals": "equal",
    "hash": "numbersign",
    "pipe": "bar", "star": "asterisk", "leftbracket": "bracketleft", "rightbracket": "bracketright",
    "numpadenter": "KP_Enter", "kpplus": "KP_Add", "numpadplus": "KP_Add", "kpminus": "KP_Subtract",
    "numpadminus": "KP_Subtract",
}  # fmt: skip
# Which keys are held for each column of the keyboard map that the X protocol tells of (XKB puts level 3 at 4 and 5).
LEVELS = {0: (), 1: ("Shift_L",), 4: ("ISO_Level3_Shift",), 5: ("Shift_L", "ISO_Level3_Shift")}

Role = Literal["", "control", "alt", "not with alt"]


@dataclass(frozen=True)
class Contact:
    """A key or a button as the X server knows it, what it must not be held together with, and what it needs held."""

    name: str
    kind: Literal["key", "button"]
    code: int
    role: Role = ""
    modifiers: tuple[str, ...] = ()


def denied_reason(keysym: int) -> str | None:
    """Why a key of this keysym, whatever it is called, must never be pressed, or None if it may be."""
    if keysym in _keysyms({"F12"}):
        return "it belongs to the kill chord, Ctrl+Shift+F12, and is for people only"
    if keysym in _keysyms(DENIED) or keysym in XF86:
        return "the desktop listens to it, not the game"
    return None


def denied_together(contacts: Iterable[Contact]) -> bool:
    """True if these must not be down at once: Alt+F4, Alt+Tab, Ctrl+Alt with any key."""
    roles = [contact.role for contact in contacts if contact.kind == "key"]
    return "alt" in roles and ("not with alt" in roles or ("control" in roles and "" in roles))


def role(keysym: int) -> Role:
    """What a key of this keysym does to other keys."""
    named: dict[Role, set[str]] = {"control": CONTROL, "alt": ALT, "not with alt": DENIED_WITH_ALT}
    found: Iterator[Role] = (role for role, names in named.items() if keysym in _keysyms(names))
    return next(found, "")


def keysym(name: str) -> int:
    """The X keysym of a key's name, such as ``"Left"``, ``"space"``, ``"a"``, ``"Return"``.

    Raises:
        InputError: If there is no such name (with the nearest one) or it must never be pressed.
    """
    value = lookup(name)
    # Not every library knows every media key, but their names begin alike.
    reason = denied_reason(XF86.start if name.startswith(DENIED_PREFIX) else value)
    if reason is not None:
        raise InputError(f"The key {name!r} must not be pressed: {reason}.", name)
    if value == 0:
        near = _meant(name)
        hint = f"did you mean {near!r}?" if near else "names are those of X keysyms: 'Left', 'space', 'a'."
        raise InputError(f"There is no key {name!r}: {hint}", name)
    if len(name) == 1 and name.isupper():
        raise InputError(
            f"The key {name!r} is on every layout together with Shift only. Name the key without it, {name.lower()!r}, "
            "and hold 'Shift_L' as a key of its own.",
            name,
        )
    return value


@functools.cache
def lookup(name: str) -> int:
    """The number of an X keysym by its name, whether it may be pressed or not; 0 if there is none."""
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    value: int = xk.string_to_keysym(name) or _names().get(name, 0)
    if value == 0:
        with contextlib.suppress(OSError, ValueError):  # it comes with every X server, and knows what is newer
            library = ctypes.CDLL("libX11.so.6")
            library.XStringToKeysym.restype = ctypes.c_ulong
            value = library.XStringToKeysym(name.encode("ascii"))
    return value


def name_of(value: int) -> str | None:
    """The shortest name of an X keysym, if it has one."""
    return min((name for name, number in _names().items() if number == value), key=len, default=None)


def check_chord(names: Iterable[str]) -> None:
    """Refuse keys that must not be down together.

    Raises:
        InputError: If they must not, or one of them must never be pressed.
    """
    names = list(names)
    if denied_together([Contact(name, "key", 0, role(keysym(name))) for name in names]):
        raise InputError(f"The keys {'+'.join(names)!r} must not be pressed together: the desktop listens to them.")


def unplaced(names: Iterable[str]) -> dict[str, Contact]:
    """Keys and buttons where there is no keyboard, for a dry run."""
    return {
        name: Contact(name, "button", 0)
        if name in BUTTONS
        else Contact(name, "key", 0, "" if name.startswith(TYPED) else role(keysym(name)))
        for name in names
    }


def resolve(display: Any, names: Iterable[str]) -> dict[str, Contact]:
    """Find keys and buttons on a display's keyboard layout.

    Args:
        display: An open `Xlib.display.Display`.
        names: Names of keys, of `BUTTONS`, or `TYPED` characters, which bring the modifiers that they need.

    Raises:
        InputError: If a key is not on the layout, or only together with Shift or AltGr.
    """
    found: dict[str, Contact] = {}
    names = list(names)
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    chord = {code for code, _ in display.keysym_to_keycodes(xk.XK_F12)}
    for name in names:
        if name in BUTTONS:
            found[name] = Contact(name, "button", BUTTONS[name])
            continue
        if name.startswith(TYPED):
            found[name] = _typed(display, name, chord)
            names += found[name].modifiers
            continue
        places = [(code, index) for code, index in display.keysym_to_keycodes(keysym(name)) if code]
        if not places:
            near = _meant(name)
            there = near and display.keysym_to_keycode(lookup(near))
            hint = f"; did you mean {near!r}?" if there else "."
            raise InputError(f"The key {name!r} is not on the keyboard layout of this display{hint}", name)
        codes = [code for code, index in places if index == 0]
        if not codes:
            plain = _plain_name(display, places[0][0])
            raise InputError(
                f"The key {name!r} is on this layout only together with a modifier. Name the key without it"
                f"{f', {plain!r},' if plain else ''} and hold the modifier as a key of its own.",
                name,
            )
        # Under another name or not, what counts is what the layout makes of the key.
        made = display.keycode_to_keysym(codes[0], 0)
        reason = denied_reason(xk.XK_F12 if codes[0] in chord else made)
        if reason is not None:
            raise InputError(f"The key {name!r} must not be pressed on this layout: {reason}.", name)
        found[name] = Contact(name, "key", codes[0], role(made))
    return found


def _typed(display: Any, name: str, chord: set[int]) -> Contact:
    character = name.removeprefix(TYPED)
    for value in filter(None, _character_keysyms(character)):
        for code, index in sorted(display.keysym_to_keycodes(value), key=lambda place: place[1]):
            made = display.keycode_to_keysym(code, 0)
            if code and code not in chord and index in LEVELS and denied_reason(made) is None:
                return Contact(name, "key", code, role(made), LEVELS[index])
    raise InputError(f"The character {character!r} is not on the keyboard layout of this display.", name)


def _character_keysyms(character: str) -> list[int]:
    """What a key may make to type a character: Latin-1 as it is, others by an old name or by their Unicode."""
    if character in "\n\t":
        return [lookup("Return" if character == "\n" else "Tab")]
    return [ord(character) if ord(character) < 256 else 0, lookup(_unicode_name(character)), 0x1000000 | ord(character)]


def _unicode_name(character: str) -> str:
    """GREEK SMALL LETTER ALPHA is Greek_alpha, CYRILLIC CAPITAL LETTER A is Cyrillic_A."""
    script, *rest = unicodedata.name(character, "").split(" LETTER ")[0].split() or [""]
    letter = unicodedata.name(character, "").partition(" LETTER ")[2]
    return f"{script.capitalize()}_{letter.lower() if 'SMALL' in rest else letter}"


@functools.cache
def _names() -> dict[str, int]:
    """All names of X keysyms that python-xlib knows, the usual ones first; its `XK` loads only these."""
    definitions = import_extra("Xlib.keysymdef", extra="screen", needed_by="a live game")
    groups = ["latin1", "miscellany", *definitions.__all__]
    modules = [import_extra(f"Xlib.keysymdef.{group}", extra="screen", needed_by="a live game") for group in groups]
    found: dict[str, int] = {}
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("XK_"):
                found.setdefault(name.removeprefix("XK_"), value)
    return found


def _meant(name: str) -> str | None:
    """The name of a key that somebody most likely meant."""
    if len(name) == 1:
        values = set(_character_keysyms(name))
        return next((known for known, value in _names().items() if value in values), None)
    plain = name.lower()
    for prefix in ("key.", "k_", "vk_", "keysym.", "xk_", "key_"):
        plain = plain.removeprefix(prefix)
    plain = plain.translate(str.maketrans("", "", "_- "))
    if plain[:-1] in ("", "key", "digit") and plain[-1:].isalnum():  # KeyA, Digit1
        return plain[-1]
    names: dict[str, str] = {}
    for known in reversed(_names()):  # the usual ones come last, and small letters go before capital ones
        word = known.lower().replace("_", "")
        capitals = sum(map(str.isupper, known))
        if (
            known != name
            and denied_reason(lookup(known)) is None
            and capitals <= sum(map(str.isupper, names.get(word, known)))
        ):
            names[word] = known
    bare = plain.removeprefix("arrow").removesuffix("arrow").removesuffix("key").replace("numpad", "kp")
    for word in (bare, plain):
        if meant := ALIASES.get(word) or names.get(word):
            return meant
    near = difflib.get_close_matches(plain, [*names, *ALIASES], n=1)
    return ALIASES.get(near[0]) or names[near[0]] if near else None


def _keysyms(names: Iterable[str]) -> set[int]:
    return {lookup(name) for name in names}


def _plain_name(display: Any, keycode: int) -> str | None:
    return name_of(display.keycode_to_keysym(keycode, 0))
