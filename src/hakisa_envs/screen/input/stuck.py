"""What programs hold down on a display, and the end of it: keys of a run that was killed with all its processes.

A person's keys are not among it. XTest has a keyboard and a mouse of its own, and only these are asked.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.input.keys import Contact
from hakisa_envs.screen.input.keysyms import name_of
from hakisa_envs.screen.keeper import processes

KEYS, BUTTONS = 0, 1  # classes of XInput's QueryDeviceState
SERVERS = (b"hakisa_envs.screen.input.server", b"hakisa_envs.screen.backends.portable.server")  # of both back ends


def held_by_programs(display: str) -> list[Contact]:
    """Keys and buttons that are down on a display because a program pressed them.

    Raises:
        Exception: Whatever python-xlib raises when the display cannot be opened.
    """
    connection = _open(display)
    try:
        xinput = import_extra("Xlib.ext.xinput", extra="screen", needed_by="a live game")
        devices = connection.xinput_query_device(xinput.AllDevices).devices
        numbers = [device.deviceid for device in devices if device.name.endswith(("XTEST keyboard", "XTEST pointer"))]
        found = [contact for number in numbers for contact in _down(connection, number)]
        return sorted(found, key=lambda contact: (contact.kind != "key", contact.name))
    finally:
        connection.close()


def let_go(display: str, contacts: list[Contact]) -> None:
    """Let go of keys and buttons, and let keys repeat again."""
    x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
    connection = _open(display)
    try:
        for contact in contacts:
            if contact.kind == "key":
                connection.change_keyboard_control(key=contact.code, auto_repeat_mode=x.AutoRepeatModeDefault)
            connection.xtest_fake_input(x.KeyRelease if contact.kind == "key" else x.ButtonRelease, contact.code)
        connection.sync()
    finally:
        connection.close()


def input_servers(display: str) -> list[int]:
    """Process ids of the input servers that are at work on a display; one that is stopped is not."""
    found, table = [], processes()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            if any(server in words for server in SERVERS):
                theirs = json.loads(words[-2])["display"]
                pid = int(entry.parent.name)
                if theirs is not None and _screenless(theirs) == _screenless(display) and table[pid][2] not in "TZ":
                    found.append(pid)
        except (OSError, ValueError, IndexError, KeyError, TypeError):  # it has just ended, or is none after all
            continue
    return found


def _screenless(display: str) -> str:
    """``:1.0`` is ``:1``."""
    host, _, number = display.rpartition(":")
    return f"{host}:{number.partition('.')[0]}"


def _open(display: str) -> Any:
    return import_extra("Xlib.display", extra="screen", needed_by="a live game").Display(display)


def _down(connection: Any, device: int) -> list[Contact]:
    rq = import_extra("Xlib.protocol.rq", extra="screen", needed_by="a live game")

    class QueryDeviceState(rq.ReplyRequest):  # type: ignore[misc, name-defined]  # python-xlib has XInput 2 only, which tells no keys
        _request = rq.Struct(
            rq.Card8("opcode"), rq.Opcode(30), rq.RequestLength(), rq.Card8("deviceid"), rq.Pad(3)
        )  # fmt: skip
        _reply = rq.Struct(
            rq.ReplyCode(), rq.Pad(1), rq.Card16("sequence_number"), rq.ReplyLength(), rq.Card8("num_classes"),
            rq.Pad(23), rq.Binary("classes"),
        )  # fmt: skip

    opcode = connection.query_extension("XInputExtension").major_opcode
    reply = QueryDeviceState(display=connection.display, opcode=opcode, deviceid=device)
    found, at = [], 0
    for _ in range(reply.num_classes):
        kind, length = struct.unpack_from("BB", reply.classes, at)
        # After class, length, number and a pad: a bit for each.
        codes = [
            code for code in range(256) if kind in (KEYS, BUTTONS) and reply.classes[at + 4 + code // 8] >> code % 8 & 1
        ]
        for code in codes:
            if kind == KEYS:
                name = name_of(connection.keycode_to_keysym(code, 0)) or f"keycode {code}"
                found.append(Contact(name, "key", code))
            else:
                found.append(Contact(f"button{code}", "button", code))
        at += length
    return found
