"""Watches the window, on a person's own desktop, that a nested X display is shown in."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.recording.events import GAP, HOST, ON, Event
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.heard import Heard
from hakisa_envs.screen.xwindows import DEPTH, is_in

LOOK_S = 0.05


class HostWindow:
    """Says when the nested display's window loses the focus of the desktop: whatever is down there then stays down in
    it, though the person has let go.

    It also says in the window's title that a recording runs.

    Args:
        name: The window's resource name.
        host: Name of the desktop's display.
        title: What the window is called from now on.

    Attributes:
        error: Why it stopped watching; None while it does.

    Raises:
        InputError: If there is no such window on the host.
    """

    def __init__(self, name: str, host: str, title: str) -> None:
        self._x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
        self._display: Any = import_extra("Xlib.display", extra="screen", needed_by="a live game").Display(host)
        self._display.set_error_handler(lambda *details: None)
        self._heard = Heard("watches the desktop's focus")
        self._stop = threading.Event()
        self.error: Exception | None = None
        window = _find(self._display.screen().root, name, DEPTH)
        if window is None:
            self._display.close()
            raise InputError(f"On the desktop {host} there is no window {name!r} of a nested display.")
        self._window = window
        window.set_wm_name(title.encode("latin-1", "replace").decode("latin-1"))  # what WM_NAME can say
        names = [self._display.intern_atom(name) for name in ("_NET_WM_NAME", "UTF8_STRING")]
        window.change_property(*names, 8, title.encode())
        window.change_attributes(event_mask=self._x.FocusChangeMask)
        self._display.sync()
        self._focused = self._has_focus()
        self._say()
        self._thread = threading.Thread(target=self._run, name="hakisa-host", daemon=True)
        self._thread.start()

    def take(self) -> list[Event]:
        """Gaps and their ends since the last call.

        Raises:
            InputError: If it does not watch any more.
        """
        return self._heard.take(self.error is None, self.error)

    def close(self) -> None:
        """Stop watching; may be called twice."""
        self._stop.set()
        self._thread.join(2.0)

    def _has_focus(self) -> bool:
        focus = self._display.get_input_focus().focus
        # Where there is no window manager the focus is wherever the pointer is.
        return bool(focus == self._x.PointerRoot) or is_in(self._display, focus, self._window)

    def _say(self) -> None:
        self._heard.say(time.monotonic_ns(), ON if self._focused else GAP, HOST)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self._display.pending_events():
                    select.select([self._display.fileno()], [], [], LOOK_S)
                while self._display.pending_events():
                    self._hear(self._display.next_event())
        except Exception as error:  # told by take()
            self.error = error
        finally:
            with contextlib.suppress(Exception):
                self._display.close()

    def _hear(self, event: Any) -> None:
        x = self._x
        if event.type not in (x.FocusIn, x.FocusOut) or event.detail == x.NotifyInferior:
            return
        focused = event.type == x.FocusIn
        if focused != self._focused:
            self._focused = focused
            self._say()


def _find(window: Any, name: str, depth: int) -> Any:
    for child in reversed(window.query_tree().children):  # the newest lies on top
        with contextlib.suppress(Exception):  # it has just gone
            if (child.get_wm_class() or ("",))[0] == name:
                return child
            found = _find(child, name, depth - 1) if depth > 1 else None
            if found is not None:
                return found
    return None
