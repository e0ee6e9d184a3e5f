"""Hears what a person does with keyboard and mouse, while the game has the focus; through pynput."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

from hakisa_envs.recording import events as e
from hakisa_envs.recording.events import Event
from hakisa_envs.screen.backends.portable.chord import chord, start_listener
from hakisa_envs.screen.backends.portable.device import pynput
from hakisa_envs.screen.backends.portable.system import Desktop, System
from hakisa_envs.screen.input.heard import Heard
from hakisa_envs.screen.input.keys import BUTTONS

LOOK_S = 0.005  # how often the focus is looked up


class PortableListener:
    """Listens to the whole desktop, in threads of its own, and keeps what was for the game.

    The focus is looked up, every few milliseconds and after each press. What was pressed before a look that found the
    focus again is not kept; within these milliseconds it may still be wrong. How far a mouse was moved before the
    desktop accelerated it is not told by pynput: `Event.raw` is what the pointer moved.

    Args:
        system: The operating system.
        names: Keys and buttons of the profile; no other is kept.
        window: Number of the game's window.

    Attributes:
        error: Why it stopped listening; None while it does.

    Raises:
        InputError: If a key is not on the layout.
    """

    def __init__(self, system: System, names: Iterable[str], window: int) -> None:
        self._names = sorted(set(names))
        self._window = window
        self.error: Exception | None = None
        self._heard = Heard("listens to the keyboard")
        self._told: queue.SimpleQueue[tuple[int, str, Any]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._focused, self._focused_ns = False, 0
        self._place: tuple[float, float] | None = None
        self._region = (0, 0, 0, 0)
        self._next_look = 0.0
        keyboard, mouse = pynput("keyboard"), pynput("mouse")
        button = mouse.Button
        self._buttons = dict(zip((button.left, button.middle, button.right), BUTTONS, strict=True))
        key = keyboard.Key
        self._chord, self._ends = chord(), {key.f9: e.PAUSE, key.f10: e.BAD, key.f12: e.KILL}
        keys = system.keys()
        try:
            self._keys = keys.heard(keys.contacts(self._names).values())
        finally:
            keys.close()
        # A callback that raises stops its listener without a word: these only stamp and pass on.
        self._listeners = [
            start_listener(
                keyboard.Listener,
                on_press=lambda key, injected=False: self._tell("press", key),
                on_release=lambda key, injected=False: self._tell("release", key),
            ),
            start_listener(
                mouse.Listener,
                on_move=lambda x, y, injected=False: self._tell("move", (x, y)),
                on_click=lambda x, y, button, pressed, injected=False: self._tell("click", (x, y, button, pressed)),
                on_scroll=lambda x, y, dx, dy, injected=False: self._tell("scroll", (x, y, dy)),
            ),
        ]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(system,), name="hakisa-listener", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def is_alive(self) -> bool:
        """Whether it still listens."""
        return self.error is None and self._thread.is_alive() and all(one.is_alive() for one in self._listeners)

    @property
    def held(self) -> list[str]:
        """What is down now, as far as it went down while the game had the focus."""
        return self._heard.held

    def take(self) -> list[Event]:
        """What came since the last call, in order.

        Raises:
            InputError: If it does not listen any more: what is recorded from now on would be without keys.
        """
        return self._heard.take(self.is_alive, self.error)

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._stop.set()
        for listener in self._listeners:
            listener.stop()
        self._thread.join(2.0)

    def _tell(self, kind: str, what: Any) -> None:
        self._told.put((time.monotonic_ns(), kind, what))

    def _run(self, system: System) -> None:
        desktop: Desktop | None = None
        try:
            desktop = system.desktop()
            self._look(desktop)
            if not self._focused:
                self._heard.say(time.monotonic_ns(), e.GAP, "focus")
            self._ready.set()
            while not self._stop.is_set():
                try:
                    told = self._told.get(timeout=LOOK_S)
                except queue.Empty:
                    told = None
                if told is None or told[1] in ("press", "click") or time.monotonic() > self._next_look:
                    self._look(desktop)
                if told is not None:
                    self._hear(*told)
        except Exception as error:  # told by take()
            self.error = error
        finally:
            self._ready.set()
            if desktop is not None:
                desktop.close()

    def _look(self, desktop: Desktop) -> None:
        """See whether the window has the focus, and where it is."""
        self._next_look = time.monotonic() + LOOK_S
        now = time.monotonic_ns()  # from before the answer: what was pressed until then was perhaps not for the game
        sight = desktop.look(self._window)
        focused = sight is not None and sight.shown and desktop.has_focus(self._window)
        if focused != self._focused:
            self._focused, self._focused_ns = focused, now
            self._heard.forget()
            why = "focus" if sight is not None and sight.shown else "window"
            self._heard.say(now, e.ON if focused else e.GAP, "" if focused else why)
        if sight is not None:
            region = (sight.region.left, sight.region.top, sight.region.width, sight.region.height)
            if region[2:] != self._region[2:]:
                self._heard.say(now, e.GEOMETRY, place=region[2:])
            self._region = region

    def _hear(self, when: int, kind: str, what: Any) -> None:
        if kind in ("press", "release"):
            hit = self._chord.hear(kind == "press", what)
            if hit and what in self._ends:
                self._heard.let_go(when)
                self._heard.say(when, self._ends[what])
                return
        if not self._focused or when < self._focused_ns:
            return  # whatever it was, it was not for the game
        if kind == "press":
            self._press(when, self._keys.get(_virtual_key(what), ""), True)
        elif kind == "release":
            self._press(when, self._keys.get(_virtual_key(what), ""), False)
        elif kind == "move":
            self._move(when, what)
        elif kind == "click":
            *place, button, pressed = what
            self._move(when, (place[0], place[1]))
            name = self._buttons.get(button, "")
            self._press(when, name if name in self._names else "", pressed)
        elif what[2]:
            self._heard.say(when, e.WHEEL, place=self._inside(what[:2]), by=(0.0, 1.0 if what[2] > 0 else -1.0))

    def _press(self, when: int, name: str, pressed: bool) -> None:
        """A key or button went down or up; of no name: none of the game's."""
        if name:
            self._heard.turn(when, name, pressed, None if self._place is None else self._inside(self._place))

    def _move(self, when: int, place: tuple[float, float]) -> None:
        before, self._place = self._place, place
        by = (0.0, 0.0) if before is None else (float(place[0] - before[0]), float(place[1] - before[1]))
        if before is None or any(by):
            self._heard.say(when, e.MOTION, place=self._inside(place), by=by, raw=by)

    def _inside(self, place: tuple[float, float]) -> tuple[int, int]:
        return round(place[0]) - self._region[0], round(place[1]) - self._region[1]


def _virtual_key(key: Any) -> int:
    """What pynput calls so, of a key that it knows by name or of another; -1 if it has none."""
    code = getattr(getattr(key, "value", key), "vk", None)
    return -1 if code is None else int(code)  # on macOS 0 is the key of A
