"""The keyboard and the mouse of macOS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.backends.portable.layout import find
from hakisa_envs.screen.input.keys import Contact, Role

# Virtual keys of HIToolbox/Events.h by the names of X. Alt is Option here.
SPECIAL: dict[str, int] = {
    "Return": 0x24, "Tab": 0x30, "space": 0x31, "BackSpace": 0x33, "Escape": 0x35, "Shift_L": 0x38, "Shift_R": 0x3C,
    "Control_L": 0x3B, "Control_R": 0x3E, "Alt_L": 0x3A, "Alt_R": 0x3D, "ISO_Level3_Shift": 0x3D, "Caps_Lock": 0x39,
    "Left": 0x7B, "Right": 0x7C, "Down": 0x7D, "Up": 0x7E, "Home": 0x73, "End": 0x77, "Prior": 0x74, "Next": 0x79,
    "Delete": 0x75, "KP_Decimal": 0x41, "KP_Multiply": 0x43, "KP_Add": 0x45, "KP_Divide": 0x4B, "KP_Enter": 0x4C,
    "KP_Subtract": 0x4E, "KP_Equal": 0x51, "KP_0": 0x52, "KP_1": 0x53, "KP_2": 0x54, "KP_3": 0x55, "KP_4": 0x56,
    "KP_5": 0x57, "KP_6": 0x58, "KP_7": 0x59, "KP_8": 0x5B, "KP_9": 0x5C, "F1": 0x7A, "F2": 0x78, "F3": 0x63,
    "F4": 0x76, "F5": 0x60, "F6": 0x61, "F7": 0x62, "F8": 0x64, "F9": 0x65, "F10": 0x6D, "F11": 0x67, "F12": 0x6F,
}  # fmt: skip
KEYPAD = frozenset(code for name, code in SPECIAL.items() if name.startswith("KP_"))
# Command, without which there is no Cmd+Q and no Cmd+Tab; Fn; F11, which shows the desktop; F12.
DENIED = frozenset({0x36, 0x37, 0x3F, 0x67, 0x6F})
# What the desktop does with Control: Mission Control, spaces, the menu bar and input sources.
WITH_CONTROL = ("Left", "Right", "Up", "Down", *(f"F{n}" for n in range(1, 9)))
ROLES: dict[str, Role] = {
    **dict.fromkeys(WITH_CONTROL, "not with control"), "space": "not with either", "F4": "not with either",
    "ISO_Level3_Shift": "alt",
}  # fmt: skip
BUTTONS = {"button1": 0, "button2": 2, "button3": 1}  # kCGMouseButtonLeft, Center, Right
COMBINED, DELTA_X, DELTA_Y = 0, 4, 5  # kCGEventSourceStateCombinedSessionState, kCGMouseEventDeltaX, ...Y
MOVED, LEFT_DRAGGED = 5, 6  # kCGEventMouseMoved, kCGEventLeftMouseDragged


class MacKeys:
    """See `hakisa_envs.screen.backends.portable.system.Keys`.

    Args:
        quartz: The module ``Quartz``.
        characters: The virtual key of each character that the layout has without a modifier.
    """

    special: Mapping[str, int] = SPECIAL
    denied = DENIED
    roles: Mapping[str, Role] = ROLES

    def __init__(self, quartz: Any, characters: Mapping[str, int]) -> None:
        self._quartz, self._characters = quartz, characters

    def contacts(self, names: Iterable[str]) -> dict[str, Contact]:
        """By what the layout of now makes."""
        return find(self, names)

    def of_character(self, character: str) -> tuple[int, tuple[str, ...]] | None:
        """By the layout that is on now; of those that need Shift only capital letters are known."""
        if character in self._characters:
            return self._characters[character], ()
        small = character.lower()
        if small != character and small in self._characters:
            return self._characters[small], ("Shift_L",)
        return None

    def key(self, contact: Contact) -> Any:
        """By virtual key, which on macOS is where the key is."""
        return pynput("keyboard").KeyCode.from_vk(contact.code)

    def heard(self, contacts: Iterable[Contact]) -> dict[int, str]:
        """Event taps tell the virtual key, whatever modifiers are down."""
        return {contact.code: contact.name for contact in contacts if contact.kind == "key"}

    def is_down(self, contact: Contact) -> bool:
        """As the system knows it."""
        if contact.kind == "button":
            return bool(self._quartz.CGEventSourceButtonState(COMBINED, BUTTONS[contact.name]))
        return bool(self._quartz.CGEventSourceKeyState(COMBINED, contact.code))

    def move_by(self, dx: int, dy: int) -> None:
        """A move that says by how much, which games go by that hold the pointer in place."""
        quartz = self._quartz
        place = quartz.CGEventGetLocation(quartz.CGEventCreate(None))
        kind = LEFT_DRAGGED if quartz.CGEventSourceButtonState(COMBINED, 0) else MOVED
        event = quartz.CGEventCreateMouseEvent(None, kind, (place[0] + dx, place[1] + dy), 0)
        quartz.CGEventSetIntegerValueField(event, DELTA_X, dx)
        quartz.CGEventSetIntegerValueField(event, DELTA_Y, dy)
        quartz.CGEventPost(0, event)

    def close(self) -> None:
        """Nothing is open."""
