"""What really presses on an X display: XTest.

By python-xlib and not by pynput, which sends characters with ``send_event`` 1 (many games ignore them), never comes
back from a key that the layout lacks, presses 'a' for 'A', and cannot look up the focus and press as one act.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import WHEEL_DOWN, WHEEL_UP, Contact, resolve

POINTER_ROOT = 1
GROUPS = 0b11 << 13  # of a key's or pointer's state: which of the keyboard's layouts is on, 0 for the first


class XTestDevice:
    """Presses by keycode through XTest (send_event 0), and only in one window.

    Every press is one act with its check: the server is grabbed, the focus (for buttons: the window under the
    pointer) looked up, the press sent and the server released; with a focus that was looked up before, 14 of
    837 presses went into another window, so 0 of 796. Releases are never checked.

    Args:
        display: Name of the display.
        names: Keys and buttons that may be pressed.

    Raises:
        InputError: If one of them cannot be pressed on this display.
    """

    def __init__(self, display: str, names: list[str]) -> None:
        xdisplay = import_extra("Xlib.display", extra="screen", needed_by="a live game")
        self._x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
        self._errors: tuple[type[Exception], ...] = (
            import_extra("Xlib.error", extra="screen", needed_by="a live game").XError,
        )
        self._display = xdisplay.Display(display)
        # An error to a request without a reply (its window has just gone) would be printed.
        self._display.set_error_handler(lambda *details: None)
        self._root = self._display.screen().root
        self._target: Any = None
        self._picture: Any = None  # in which the game is drawn, and the pointer moves
        self._grabbed_away = False
        self._lost = False
        self._names = names
        self._layout_events: list[Any] = []  # not looked at yet
        self._moved = False
        self._repeats = True
        self.lacks: InputError | None = None  # why the layout of now cannot be played on
        self.contacts = resolve(self._display, names)
        self._earlier: set[Contact] = set()  # of the layouts before this one
        # Two windows are of one client if the bits that it may choose itself are all that differs.
        self._client_bits = ~self._display.display.info.resource_id_mask

    def fileno(self) -> int:
        """The connection: readable when something happened to the window."""
        number: int = self._display.fileno()
        return number

    def set_target(self, window: int, picture: int = 0) -> None:
        """From now on press in this window only, and in ``picture`` if the game is drawn there; 0 stands for none."""
        self._grabbed_away = False
        self._target = self._display.create_resource_object("window", window) if window else None
        self._picture = self._display.create_resource_object("window", picture) if picture else self._target
        if self._target is not None:
            self._target.change_attributes(event_mask=self._x.FocusChangeMask | self._x.StructureNotifyMask)
        self._display.sync()

    def watch(self) -> bool:
        """True if the window has lost the focus, is gone or is hidden, since the last call."""
        self._read_events()
        lost, self._lost = self._lost, False
        return lost

    def layout_changed(self) -> bool:
        """True if keys have moved since the last call: `contacts` are new, and what is down is down where it was.

        If the new layout lacks a key, `lacks` says so, and no key is pressed before a layout has them all.
        """
        self._read_events()
        self._look_at_layout()
        moved, self._moved = self._moved, False
        return moved

    def focused(self) -> bool:
        """True if a key pressed now would go to the window."""
        with contextlib.suppress(*self._errors):
            return self._target is not None and self._has_focus()
        return False

    def press(self, contact: Contact) -> bool:
        """Press a key if the window has the focus, a button if the window is under the pointer."""
        if contact.kind == "key" and self._root.query_pointer().mask & GROUPS:
            self._moved = True  # somebody has switched to another of several layouts, on which it is another key
            return False
        pressed = self._press(contact)
        if self._layout_events:
            # Servers tell of a new layout when another keyboard is used, too; mostly it is the old one.
            self._look_at_layout()
            pressed = not self._moved and self._press(contact)
        return pressed

    def _press(self, contact: Contact) -> bool:
        x, allowed = self._x, False
        with self._server_grab():
            allowed = self._target is not None and (
                self._has_focus() if contact.kind == "key" else self._under_pointer()
            )
            if contact.kind == "key" and (self._layout_events or self.lacks):
                allowed = False  # its keycode may be that of another key by now
            if allowed and contact.kind == "key":
                # A held key would repeat into whatever has the focus next.
                self._display.change_keyboard_control(key=contact.code, auto_repeat_mode=x.AutoRepeatModeOff)
                self._display.xtest_fake_input(x.KeyPress, contact.code)
            elif allowed:
                self._display.xtest_fake_input(x.ButtonPress, contact.code)
        return allowed

    def release(self, contact: Contact) -> None:
        """Let go by remembered keycode."""
        x = self._x
        self._display.xtest_fake_input(x.KeyRelease if contact.kind == "key" else x.ButtonRelease, contact.code)
        if contact.kind == "key" and self._repeats:
            self._display.change_keyboard_control(key=contact.code, auto_repeat_mode=x.AutoRepeatModeDefault)
        self._display.flush()

    def set_repeat(self, on: bool) -> None:
        """Whether keys repeat while they are held, by whomever."""
        if on == self._repeats:
            return
        self._repeats = on
        mode = self._x.AutoRepeatModeDefault if on else self._x.AutoRepeatModeOff
        for contact in {*self.contacts.values(), *self._earlier}:
            if contact.kind == "key":
                self._display.change_keyboard_control(key=contact.code, auto_repeat_mode=mode)
        self._display.sync()

    def move(self, x: int, y: int) -> bool:
        """Put the pointer on a pixel of the window's client area, or the nearest that is on the screen."""
        with self._server_grab():
            if self._target is None or not self._may_move():
                return False
            size = self._picture.get_geometry()
            origin = self._root.translate_coords(self._picture, 0, 0)
            screen = self._root.get_geometry()
            low = max(origin.x, 0), max(origin.y, 0)
            high = min(origin.x + size.width, screen.width) - 1, min(origin.y + size.height, screen.height) - 1
            if low[0] > high[0] or low[1] > high[1]:
                return False  # the window is wholly off the screen
            place = [max(low[i], min(high[i], (origin.x + x, origin.y + y)[i])) for i in (0, 1)]
            self._display.xtest_fake_input(self._x.MotionNotify, 0, x=place[0], y=place[1])
            return True
        return False

    def move_by(self, dx: int, dy: int) -> bool:
        """Move as a hand moves a mouse; a game that reads raw motion sees it at the screen's edge too."""
        with self._server_grab():
            if self._target is None or not self._may_move():
                return False
            self._display.xtest_fake_input(self._x.MotionNotify, 1, x=dx, y=dy)
            return True
        return False

    def wheel(self, notches: int) -> bool:
        """Turn the wheel over the window; up is positive."""
        button = WHEEL_UP if notches > 0 else WHEEL_DOWN
        with self._server_grab():
            if self._target is None or not self._under_pointer():
                return False
            for _ in range(abs(notches)):
                self._display.xtest_fake_input(self._x.ButtonPress, button)
                self._display.xtest_fake_input(self._x.ButtonRelease, button)
            return True
        return False

    def sync(self) -> None:
        """Wait until the X server has done everything that was asked."""
        self._display.sync()

    def release_stale(self) -> None:
        """Release whatever of ours is down though nobody holds it: a server before this one was killed."""
        keymap = self._display.query_keymap()
        mask = self._root.query_pointer().mask
        for contact in {*self.contacts.values(), *self._earlier}:
            byte, bit = divmod(contact.code, 8)
            down = keymap[byte] >> bit & 1 if contact.kind == "key" else mask >> (7 + contact.code) & 1
            if down:
                self.release(contact)
            elif contact.kind == "key":
                self._display.change_keyboard_control(key=contact.code, auto_repeat_mode=self._x.AutoRepeatModeDefault)
        self._display.sync()

    def close(self) -> None:
        """Close the connection, once the server has done everything that was asked.

        A socket that is closed with events unread in it makes the server drop what it has not read yet: the
        last releases.
        """
        self._display.sync()
        self._display.close()

    @contextlib.contextmanager
    def _server_grab(self) -> Iterator[None]:
        """No other client is served meanwhile, so nothing changes between a check and its press."""
        self._display.grab_server()
        try:
            # A window that has gone is a refusal, not an error: the body returns nothing then.
            with contextlib.suppress(*self._errors):
                yield
        finally:
            self._display.ungrab_server()
            self._display.flush()

    def _read_events(self) -> None:
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type == self._x.MappingNotify:
                self._layout_events.append(event)
                continue
            if self._target is None or getattr(event, "window", None) != self._target:
                continue
            self._lost |= event.type in (self._x.FocusOut, self._x.UnmapNotify, self._x.DestroyNotify)
            if event.type in (self._x.FocusIn, self._x.FocusOut) and event.detail != self._x.NotifyInferior:
                # Another client's keyboard grab, a screen lock say, takes the keys while the focus stays.
                if event.mode == self._x.NotifyGrab:
                    self._grabbed_away = event.type == self._x.FocusOut
                elif event.mode == self._x.NotifyUngrab:
                    self._grabbed_away = False

    def _look_at_layout(self) -> None:
        events, self._layout_events = self._layout_events, []
        for event in events:
            self._display.refresh_keyboard_mapping(event)
        if events:
            before = self.contacts
            self._earlier |= set(before.values())
            self.lacks = None
            try:
                self.contacts = resolve(self._display, self._names)
            except InputError as error:  # perhaps not for long: programs swap two keys by two requests
                self.lacks = error
            self._moved |= self.lacks is not None or self.contacts != before

    def _has_focus(self) -> bool:
        return self._leads_to_target(self._display.get_input_focus().focus)

    def _leads_to_target(self, focus: Any) -> bool:
        """True if keys go to the window while ``focus``, which was just looked up, has the focus."""
        self._read_events()  # a grab that began before that answer has been told before it
        if self._grabbed_away or focus == self._x.NONE:
            return False
        if focus == POINTER_ROOT:
            return self._under_pointer()
        while focus != self._target:
            tree = focus.query_tree()
            if tree.parent == self._x.NONE or tree.parent == self._root:
                return self._stands_for_target(focus)
            focus = tree.parent
        return True

    def _may_move(self) -> bool:
        # Without a window manager the focus may be "wherever the pointer is", and it has to get there somehow.
        focus = self._display.get_input_focus().focus
        return focus == POINTER_ROOT or self._leads_to_target(focus)

    def _under_pointer(self) -> bool:
        pointer = self._root.query_pointer()
        top = window = pointer.child
        while window != self._x.NONE:
            if window in (self._target, self._picture):
                return True
            window = window.translate_coords(self._root, pointer.root_x, pointer.root_y).child
        return bool(top != self._x.NONE and self._stands_for_target(top))

    def _stands_for_target(self, top: Any) -> bool:
        """True for a window of the same program that lies over all of the target: SDL 1.2 plays fullscreen in one."""
        if (top.id ^ self._target.id) & self._client_bits or not top.get_attributes().override_redirect:
            return False
        over, under = top.get_geometry(), self._target.get_geometry()
        place = self._root.translate_coords(self._target, 0, 0)
        return bool(
            over.x <= place.x
            and over.y <= place.y
            and over.x + over.width >= place.x + under.width
            and over.y + over.height >= place.y + under.height
        )
