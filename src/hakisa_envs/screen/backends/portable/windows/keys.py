"""The keyboard and the mouse of Windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.backends.portable.layout import find
from hakisa_envs.screen.input.keys import Contact, Role

# Virtual keys of winuser.h by the names of X.
SPECIAL: dict[str, int] = {
    "BackSpace": 0x08, "Tab": 0x09, "Clear": 0x0C, "Return": 0x0D, "Pause": 0x13, "Caps_Lock": 0x14, "Escape": 0x1B,
    "space": 0x20, "Prior": 0x21, "Next": 0x22, "End": 0x23, "Home": 0x24, "Left": 0x25, "Up": 0x26, "Right": 0x27,
    "Down": 0x28, "Insert": 0x2D, "Delete": 0x2E, "KP_Multiply": 0x6A, "KP_Add": 0x6B, "KP_Separator": 0x6C,
    "KP_Subtract": 0x6D, "KP_Decimal": 0x6E, "KP_Divide": 0x6F, "Num_Lock": 0x90, "Scroll_Lock": 0x91, "Shift_L": 0xA0,
    "Shift_R": 0xA1, "Control_L": 0xA2, "Control_R": 0xA3, "Alt_L": 0xA4, "Alt_R": 0xA5, "ISO_Level3_Shift": 0xA5,
    **{f"KP_{digit}": 0x60 + digit for digit in range(10)}, **{f"F{n}": 0x6F + n for n in range(1, 25)},
}  # fmt: skip
F12 = 0x7B
# The Windows keys, the menu key, PrintScreen, sleep, F12, and the keys of browsers, volume, media and programs.
DENIED = frozenset({0x5B, 0x5C, 0x5D, 0x2C, 0x5F, F12, *range(0xA6, 0xB8)})
# AltGr is the right Alt; the Start menu; Ctrl+Alt+Del.
ROLES: dict[str, Role] = {"ISO_Level3_Shift": "alt", "Escape": "not with either", "Delete": "not with alt"}
# On an enhanced keyboard these differ from keys of the number pad, or of the left side, by the prefix alone. Windows'
# own mapping leaves it out for some of them: Prior to Down, Insert, Delete, KP_Divide, Num_Lock, Control_R, Alt_R.
EXTENDED_KEYS = frozenset({*range(0x21, 0x29), 0x2D, 0x2E, 0x6F, 0x90, 0xA3, 0xA5})
BUTTONS = {"button1": 0x01, "button2": 0x04, "button3": 0x02}  # as virtual keys
SHIFT, CONTROL_ALT = 1, 6  # of VkKeyScan's answer
TO_SCAN_CODE, SEQUENCE_PREFIX = 4, 0xE1  # MAPVK_VK_TO_VSC_EX; Pause is a sequence, which cannot be sent as one code
SCANCODE, EXTENDED, MOVE = 0x8, 0x1, 0x1  # KEYEVENTF_..., MOUSEEVENTF_MOVE


class WindowsKeys:
    """See `hakisa_envs.screen.backends.portable.system.Keys`.

    Keys are pressed by scan code, of which Windows makes the virtual key: games that read raw input or DirectInput
    ignore a virtual key without one.

    Args:
        user32: The system's library.
    """

    special: Mapping[str, int] = SPECIAL
    denied = DENIED
    roles: Mapping[str, Role] = ROLES

    def __init__(self, user32: Any) -> None:
        self._user32 = user32

    def contacts(self, names: Iterable[str]) -> dict[str, Contact]:
        """By what the layout of now makes."""
        return find(self, names)

    def of_character(self, character: str) -> tuple[int, tuple[str, ...]] | None:
        """By the layout that is on now."""
        if ord(character) > 0xFFFF:
            return None
        answer = self._user32.VkKeyScanW(character) & 0xFFFF
        code, state = answer & 0xFF, answer >> 8
        known = {0: (), SHIFT: ("Shift_L",), CONTROL_ALT: ("ISO_Level3_Shift",)}
        known[SHIFT | CONTROL_ALT] = ("Shift_L", "ISO_Level3_Shift")
        return None if answer == 0xFFFF or state not in known else (code, known[state])

    def key(self, contact: Contact) -> Any:
        """Virtual key and scan code, marked as a scan code."""
        scan, flags = self.scan_code(contact.code)
        key_code = pynput("keyboard").KeyCode
        # Without a scan code (Pause, or a key that this keyboard has not) the virtual key is all there is.
        return key_code.from_vk(contact.code, _scan=scan, _flags=flags) if scan else key_code.from_vk(contact.code)

    def scan_code(self, virtual_key: int) -> tuple[int, int]:
        """The scan code, 0 if there is none, and the flags that it is sent with."""
        answer = self._user32.MapVirtualKeyW(virtual_key, TO_SCAN_CODE)
        scan = 0 if answer >> 8 == SEQUENCE_PREFIX else answer & 0xFF
        return scan, SCANCODE | (EXTENDED if virtual_key in EXTENDED_KEYS else 0)

    def heard(self, contacts: Iterable[Contact]) -> dict[int, str]:
        """Low-level hooks tell the virtual key, whatever modifiers are down."""
        return {contact.code: contact.name for contact in contacts if contact.kind == "key"}

    def is_down(self, contact: Contact) -> bool:
        """As the system knows it."""
        code = BUTTONS[contact.name] if contact.kind == "button" else contact.code
        return bool(self._user32.GetAsyncKeyState(code) & 0x8000)

    def move_by(self, dx: int, dy: int) -> None:
        """As a mouse moves, which raw input tells of."""
        self._user32.mouse_event(MOVE, dx, dy, 0, 0)

    def close(self) -> None:
        """Nothing is open."""
