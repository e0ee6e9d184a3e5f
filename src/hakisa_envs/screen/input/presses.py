"""What is down and until when: taps with a minimum hold, holds, one waiting tap per key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hakisa_envs.screen.input.keys import Contact, denied_together

TAP_NS = 50_000_000  # games that poll miss taps shorter than one or two of their frames
GAP_NS = 20_000_000  # and two taps with no time between them look like one


class Device(Protocol):
    """What presses. A press, a move or a turn may be refused (False); a release may not. After `sync` all is done."""

    def press(self, contact: Contact) -> bool: ...
    def release(self, contact: Contact) -> None: ...
    def move(self, x: int, y: int) -> bool: ...
    def move_by(self, dx: int, dy: int) -> bool: ...
    def wheel(self, notches: int) -> bool: ...
    def sync(self) -> None: ...


@dataclass(eq=False)
class _State:
    contact: Contact
    down: bool = False
    until: int | None = None  # when a tap ends; None: held until it is released
    pressed_at: int = 0
    ready_at: int = 0  # not to be pressed before
    waiting: tuple[int, int] | None = None  # a tap that waits: how long to hold, when it is stale
    helpers: tuple[_State, ...] = ()  # modifiers that are down for its sake, and go up with it


@dataclass
class Counts:
    """What became of the presses since the last report."""

    pressed: int = 0
    refused: int = 0  # the game had not the focus, or was not under the pointer
    dropped: int = 0  # too late, or one tap too many


class Presses:
    """Everything that this process holds down. All times are nanoseconds of one monotonic clock.

    Args:
        device: What presses.
        contacts: The keys and buttons that may be pressed, by name.
        clock: Says when a press is done, which takes a while on a busy machine; a minimum hold counts from then.
    """

    def __init__(self, device: Device, contacts: dict[str, Contact], clock: Callable[[], int] = lambda: 0) -> None:
        self.device = device
        self.clock = clock
        self.counts = Counts()
        self._states = {name: _State(contact) for name, contact in contacts.items()}
        self._down: list[_State] = []  # in the order in which they were pressed
        self._sent: list[_State] = []  # pressed, but perhaps not yet done

    def held(self) -> list[str]:
        """Names of what is down now."""
        return [name for name, state in self._states.items() if state.down]

    def tap(self, name: str, now: int, hold: int = TAP_NS, stale: int | None = None) -> None:
        """Press, and release after ``hold``. If the last tap still runs this one waits; one more is dropped."""
        state = self._states[name]
        if state.down or now < state.ready_at:
            if state.waiting is None and (not state.down or state.until is not None):
                state.waiting = (hold, now + hold if stale is None else stale)
            else:
                self.counts.dropped += 1
        elif self._press(state, now):
            state.until = state.pressed_at + hold

    def hold(self, name: str, now: int) -> None:
        """Press until released; a tap that runs becomes a hold."""
        state = self._states[name]
        if state.down or self._press(state, now):
            state.until = None

    def release(self, name: str, now: int) -> None:
        """Let go, though not before the minimum time that a game needs to see the press."""
        state = self._states[name]
        state.waiting = None
        if state.down:
            state.until = max(now, state.pressed_at + TAP_NS)
            self.advance(now)

    def set_contacts(self, contacts: dict[str, Contact]) -> None:
        """From now on press these, and modifiers that only the new ones need; everything must be up."""
        for name, contact in contacts.items():
            self._states.setdefault(name, _State(contact)).contact = contact

    def release_all(self, now: int) -> list[str]:
        """Let go of everything at once, what was pressed last first, and forget what waits. Returns what was down."""
        held = self.held()
        for state in self._states.values():
            state.waiting = None
        self._let_go(lambda state: True, now)
        return held

    def advance(self, now: int) -> int | None:
        """End the taps that are over, begin those that waited; return when to look again, None if never."""
        self._confirm()
        self._let_go(lambda state: state.until is not None and state.until <= now, now)
        for state in self._states.values():
            if not state.down and state.waiting is not None and state.ready_at <= now:
                hold, stale = state.waiting
                state.waiting = None
                if now > stale:
                    self.counts.dropped += 1
                elif self._press(state, now):
                    state.until = state.pressed_at + hold
        self._confirm()
        times = [state.until for state in self._states.values() if state.down and state.until is not None]
        times += [state.ready_at for state in self._states.values() if not state.down and state.waiting is not None]
        return min(times, default=None)

    def settle(self) -> None:
        """All that was pressed is done by now: its minimum hold counts from here."""
        now = self.clock()
        for state in self._sent:
            late = max(0, now - state.pressed_at)
            state.pressed_at += late
            if state.until is not None:
                state.until += late
        self._sent.clear()

    def _confirm(self) -> None:
        if self._sent:
            self.device.sync()
            self.settle()

    def _press(self, state: _State, now: int) -> bool:
        """Press it, and before it the modifiers that its contact needs and nobody holds."""
        modifiers = (self._states[name] for name in state.contact.modifiers)
        state.helpers = tuple(modifier for modifier in modifiers if not modifier.down)
        if not all(self._put_down(each, now) for each in (*state.helpers, state)):
            self._lift(state.helpers, now)
            self.counts.refused += 1
            return False
        self.counts.pressed += 1
        return True

    def _put_down(self, state: _State, now: int) -> bool:
        down = [other.contact for other in self._down]
        if denied_together([*down, state.contact]) or not self.device.press(state.contact):
            return False
        state.down, state.pressed_at = True, now
        self._down.append(state)
        self._sent.append(state)
        return True

    def _let_go(self, is_due: Callable[[_State], bool], now: int) -> None:
        """Of what is due at once the last goes up first: a chord's modifier after its key, however late it is."""
        for state in reversed(self._down.copy()):
            if state.down and is_due(state):
                self._release(state, now)

    def _release(self, state: _State, now: int) -> None:
        self._down.remove(state)
        state.down, state.until, state.ready_at = False, None, now + GAP_NS
        self.device.release(state.contact)
        self._lift(state.helpers, now)

    def _lift(self, helpers: tuple[_State, ...], now: int) -> None:
        for helper in helpers:
            if helper.down:
                self._release(helper, now)
