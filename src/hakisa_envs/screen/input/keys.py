"""Names of keys and buttons, what must never be pressed, and which keycode a name stands for on a display."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.errors import InputError

BUTTONS = {"button1": 1, "button2": 2, "button3": 3}  # left, middle, right
WHEEL_UP, WHEEL_DOWN = 4, 5

# What a desktop, not a game, listens to. F12 is never pressed, so that in the kill chord it is always a person's.
DENIED = {"Super_L", "Super_R", "Hyper_L", "Hyper_R", "Meta_L", "Meta_R", "Print", "Sys_Req", "Menu", "F12"}
DENIED_PREFIX = "XF86"  # media, power, sleep, brightness
CONTROL, ALT = {"Control_L", "Control_R"}, {"Alt_L", "Alt_R"}
DENIED_WITH_ALT = {"F4", "Tab", "Escape", "space"}  # closes, switches or opens the menu of a window


@dataclass(frozen=True)
class Contact:
    """A key or a button as the X server knows it."""

    name: str
    kind: Literal["key", "button"]
    code: int


def denied_reason(name: str) -> str | None:
    """Why this key must never be pressed, or None if it may be."""
    if name == "F12":
        return "it belongs to the kill chord, Ctrl+Shift+F12, and is for people only"
    if name in DENIED or name.startswith(DENIED_PREFIX):
        return "the desktop listens to it, not the game"
    return None


def denied_together(names: Collection[str]) -> bool:
    """True if these keys must not be down at once: Alt+F4, Alt+Tab, Ctrl+Alt with anything."""
    held = set(names) - set(BUTTONS)
    if not held & ALT:
        return False
    return bool(held & DENIED_WITH_ALT) or (bool(held & CONTROL) and bool(held - CONTROL - ALT))


def keysym(name: str) -> int:
    """The X keysym of a key's name, such as ``"Left"``, ``"space"``, ``"a"``, ``"Return"``.

    Raises:
        InputError: If there is no such name (with the nearest one) or it must never be pressed.
    """
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    reason = denied_reason(name)
    if reason is not None:
        raise InputError(f"The key {name!r} must not be pressed: {reason}.", name)
    value: int = xk.string_to_keysym(name)
    if value == 0:
        # A capital letter is a keysym of its own, but never a key without Shift.
        names = {key[3:].lower(): key[3:] for key in reversed(vars(xk)) if key.startswith("XK_")}
        meant = next((word for word in names.values() if len(name) == 1 and vars(xk)[f"XK_{word}"] == ord(name)), None)
        near = [meant] if meant else [names[word] for word in difflib.get_close_matches(name.lower(), names, n=1)]
        hint = f"did you mean {near[0]!r}?" if near else "names are those of X keysyms: 'Left', 'space', 'a'."
        raise InputError(f"There is no key {name!r}: {hint}", name)
    if len(name) == 1 and name.isupper():
        raise InputError(
            f"The key {name!r} is on every layout together with Shift only. Name the key without it, {name.lower()!r}, "
            "and hold 'Shift_L' as a key of its own.",
            name,
        )
    return value


def resolve(display: Any, names: Iterable[str]) -> dict[str, Contact]:
    """Find keys and buttons on a display's keyboard layout.

    Args:
        display: An open `Xlib.display.Display`.
        names: Names of keys, or of `BUTTONS`.

    Raises:
        InputError: If a key is not on the layout, or only together with Shift or AltGr.
    """
    found = {}
    for name in names:
        if name in BUTTONS:
            found[name] = Contact(name, "button", BUTTONS[name])
            continue
        places = [(code, index) for code, index in display.keysym_to_keycodes(keysym(name)) if code]
        if not places:
            raise InputError(f"The key {name!r} is not on the keyboard layout of this display.", name)
        codes = [code for code, index in places if index == 0]
        if not codes:
            plain = _plain_name(display, places[0][0])
            raise InputError(
                f"The key {name!r} is on this layout only together with a modifier. Name the key without it"
                f"{f', {plain!r},' if plain else ''} and hold the modifier as a key of its own.",
                name,
            )
        found[name] = Contact(name, "key", codes[0])
    return found


def _plain_name(display: Any, keycode: int) -> str | None:
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    plain = display.keycode_to_keysym(keycode, 0)
    return next((name[3:] for name, value in vars(xk).items() if name.startswith("XK_") and value == plain), None)
