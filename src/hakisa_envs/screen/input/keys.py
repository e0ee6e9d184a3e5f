"""Names of keys and buttons, what must never be pressed, and which keycode a name stands for on a display."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.errors import InputError

BUTTONS = {"button1": 1, "button2": 2, "button3": 3}  # left, middle, right
WHEEL_UP, WHEEL_DOWN = 4, 5

# What a desktop, not a game, listens to. F12 is never pressed, so that in the kill chord it is always a person's.
DENIED = {"Super_L", "Super_R", "Hyper_L", "Hyper_R", "Meta_L", "Meta_R", "Print", "Sys_Req", "Menu"}
DENIED_PREFIX, XF86 = "XF86", range(0x10080000, 0x10090000)  # media, power, sleep, brightness
CONTROL, ALT = {"Control_L", "Control_R"}, {"Alt_L", "Alt_R"}
DENIED_WITH_ALT = {"F4", "Tab", "Escape", "space"}  # closes, switches or opens the menu of a window

Role = Literal["", "control", "alt", "not with alt"]


@dataclass(frozen=True)
class Contact:
    """A key or a button as the X server knows it, and what it must not be held together with."""

    name: str
    kind: Literal["key", "button"]
    code: int
    role: Role = ""


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
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    value: int = xk.string_to_keysym(name)
    # Xlib does not load the names of the media keys by itself, so these are known by their names only.
    reason = denied_reason(XF86.start if name.startswith(DENIED_PREFIX) else value)
    if reason is not None:
        raise InputError(f"The key {name!r} must not be pressed: {reason}.", name)
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
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    chord = {code for code, _ in display.keysym_to_keycodes(xk.XK_F12)}
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
        # Under another name or not, what counts is what the layout makes of the key.
        made = display.keycode_to_keysym(codes[0], 0)
        reason = denied_reason(xk.XK_F12 if codes[0] in chord else made)
        if reason is not None:
            raise InputError(f"The key {name!r} must not be pressed on this layout: {reason}.", name)
        found[name] = Contact(name, "key", codes[0], role(made))
    return found


def _keysyms(names: Iterable[str]) -> set[int]:
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    return {xk.string_to_keysym(name) for name in names}


def _plain_name(display: Any, keycode: int) -> str | None:
    xk = import_extra("Xlib.XK", extra="screen", needed_by="a live game")
    plain = display.keycode_to_keysym(keycode, 0)
    return next((name[3:] for name, value in vars(xk).items() if name.startswith("XK_") and value == plain), None)
