"""Names of keys and buttons, what must never be pressed, and which keycode a name stands for on a display."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keysyms import character_keysyms, lookup, name_of
from hakisa_envs.screen.input.meant import meant

BUTTONS = {"button1": 1, "button2": 2, "button3": 3}  # left, middle, right
WHEEL_UP, WHEEL_DOWN = 4, 5
LAYOUT_CHANGED = "keyboard layout changed"  # as a report says it
TYPED = "text:"  # and a character: a key that types it, with Shift and AltGr as the layout wants

# What a desktop, not a game, listens to. F12 is never pressed, so that in the kill chord it is always a person's.
DENIED = {"Super_L", "Super_R", "Hyper_L", "Hyper_R", "Meta_L", "Meta_R", "Print", "Sys_Req", "Menu"}
DENIED_PREFIX, XF86 = "xf86", range(0x10080000, 0x10090000)  # media, power, sleep, brightness
CONTROL, ALT = {"Control_L", "Control_R"}, {"Alt_L", "Alt_R"}
DENIED_WITH_ALT = {"F4", "Tab", "Escape", "space"}  # closes, switches or opens the menu of a window

NOT_WITH_CONTROL = {"not with control", "not with either"}

MOUSE = re.compile(r"(?i)(pointer_?)?(mouse|button|wheel)_?\w*$|(left|right|middle)_?(click|button)$")
# Which keys are held for each column of the keyboard map that the X protocol tells of (XKB puts level 3 at 4 and 5).
LEVELS = {0: (), 1: ("Shift_L",), 4: ("ISO_Level3_Shift",), 5: ("Shift_L", "ISO_Level3_Shift")}

Role = Literal["", "control", "alt", "not with alt", "not with control", "not with either"]


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
    """True if these must not be down at once: Alt+F4, Alt+Tab, Ctrl+Alt with any key, and what a system adds."""
    roles = {contact.role for contact in contacts if contact.kind == "key"}
    with_alt, with_control = roles & {"not with alt", "not with either"}, roles & NOT_WITH_CONTROL
    if "alt" in roles and (with_alt or ("control" in roles and roles & {"", "not with control"})):
        return True
    return "control" in roles and bool(with_control)


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
    near = None if value or not name or "+" in name[1:-1] else meant(name)
    # Not every library knows every media key, but their names begin alike.
    media = name.lower().startswith(DENIED_PREFIX)
    reason = denied_reason(XF86.start if media else value or (lookup(near) if near else 0))
    if reason is not None:
        called = f", which X calls {near!r}," if near and not media else ""
        raise InputError(f"The key {name!r}{called} must not be pressed: {reason}.", name)
    if value == 0:
        raise InputError(f"There is no key {name!r}: {_hint(name, near)}", name)
    if value < 256 and chr(value).isupper():  # by whatever name: A, U0041, Adiaeresis
        plain = name_of(ord(chr(value).lower()))
        raise InputError(
            f"The key {name!r} is on every layout together with Shift only. Name the key without it, {plain!r}, "
            "and hold 'Shift_L' as a key of its own.",
            name,
        )
    return value


def _hint(name: str, near: str | None) -> str:
    if not name:
        return "+ joins the keys of a chord, and its own key is 'plus'."
    if "+" in name[1:-1]:
        return "only a script's press can be a chord. List each of its keys by itself."
    if MOUSE.match(name):
        return "mouse buttons and the wheel are no keys. They have commands of their own, such as 'left_click'."
    return f"did you mean {near!r}?" if near else "names are those of X keysyms: 'Left', 'space', 'a'."


def check_chord(names: Iterable[str]) -> None:
    """Refuse keys that must not be down together.

    Raises:
        InputError: If they must not, one of them must never be pressed, or one is named twice.
    """
    names = list(names)
    keysyms = [keysym(name) for name in names]
    if len(set(keysyms)) < len(keysyms):
        raise InputError(f"The keys {'+'.join(names)!r} name one key twice.")
    if denied_together([Contact(name, "key", 0, role(value)) for name, value in zip(names, keysyms, strict=True)]):
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
            near = meant(name)
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
    for value in character_keysyms(character):
        for code, index in sorted(display.keysym_to_keycodes(value), key=lambda place: place[1]):
            made = display.keycode_to_keysym(code, 0)
            if code and code not in chord and index in LEVELS and denied_reason(made) is None:
                return Contact(name, "key", code, role(made), LEVELS[index])
    raise InputError(f"The character {character!r} is not on the keyboard layout of this display.", name)


def _keysyms(names: Iterable[str]) -> set[int]:
    return {lookup(name) for name in names}


def _plain_name(display: Any, keycode: int) -> str | None:
    return name_of(display.keycode_to_keysym(keycode, 0))
