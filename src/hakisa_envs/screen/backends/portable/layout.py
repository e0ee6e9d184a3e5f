"""Keys by their X names on keyboards that know none: what Windows and macOS have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import BUTTONS, TYPED, Contact, Role, keysym, role
from hakisa_envs.screen.input.keysyms import lookup


class Layout(Protocol):
    """A keyboard layout.

    Attributes:
        special: Virtual keys of keys that make no character, by the name of their keysym.
        denied: Virtual keys that must never be pressed.
        roles: What else, by the name of its keysym, must not be down with what.
    """

    special: Mapping[str, int]
    denied: frozenset[int]
    roles: Mapping[str, Role]

    def of_character(self, character: str) -> tuple[int, tuple[str, ...]] | None:
        """The virtual key that makes a character, and the modifiers that it needs; None if there is none."""


def find(layout: Layout, names: Iterable[str]) -> dict[str, Contact]:
    """Find keys, buttons and typed characters.

    Raises:
        InputError: If one is not on the layout, only together with a modifier, or must not be pressed.
    """
    found: dict[str, Contact] = {}
    names = list(names)
    special = {lookup(name): code for name, code in layout.special.items()}
    roles = {lookup(name): role for name, role in layout.roles.items()}
    for name in names:
        if name in BUTTONS:
            found[name] = Contact(name, "button", BUTTONS[name])
        elif name.startswith(TYPED):
            found[name] = _typed(layout, name)
            names += found[name].modifiers
        else:
            value = keysym(name)
            code = special[value] if value in special else _of_character(layout, name, value)
            if code in layout.denied:
                raise InputError(
                    f"The key {name!r} must not be pressed here: the desktop listens to it, not the game.", name
                )
            found[name] = Contact(name, "key", code, roles.get(value) or role(value))
    return found


def _of_character(layout: Layout, name: str, value: int) -> int:
    character = _character(value)
    place = layout.of_character(character) if character else None
    if place is None:
        raise InputError(f"The key {name!r} is not on the keyboard layout of this desktop.", name)
    code, modifiers = place
    if modifiers:
        raise InputError(
            f"The key {name!r} is on this layout only together with {' and '.join(modifiers)}. Name the key without "
            "it, and hold the modifier as a key of its own.",
            name,
        )
    return code


def _typed(layout: Layout, name: str) -> Contact:
    character = name.removeprefix(TYPED)
    special = {"\n": "Return", "\t": "Tab"}.get(character)
    place = (layout.special[special], ()) if special else layout.of_character(character)
    if place is None or place[0] in layout.denied:
        raise InputError(f"The character {character!r} is not on the keyboard layout of this desktop.", name)
    code, modifiers = place
    return Contact(name, "key", code, role(ord(character)), modifiers)


def _character(value: int) -> str:
    """What a keysym types, of those that have the numbers of Latin-1 or Unicode."""
    if 0x20 <= value < 0x100:
        return chr(value)
    return chr(value - 0x1000000) if value > 0x1000000 else ""
