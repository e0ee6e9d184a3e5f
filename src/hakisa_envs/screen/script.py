"""Runs the scripts of a profile: after a launch, and before every episode."""

from __future__ import annotations

import time

from hakisa_envs.screen.actions import BUTTON
from hakisa_envs.screen.conditions import Condition, Readings
from hakisa_envs.screen.errors import Killed, ResetError
from hakisa_envs.screen.game import Step
from hakisa_envs.screen.image import save_screenshot
from hakisa_envs.screen.input.client import Command, Report
from hakisa_envs.screen.input.keys import TYPED
from hakisa_envs.screen.input.presses import GAP_NS
from hakisa_envs.screen.session import Session, View

LOOK_S = 0.02  # how often a condition is looked at
LEASE_S = 0.2  # a key goes up if the script has not asked for it for so long, because it hangs or was stopped


class ScriptRunner:
    """Does the steps of a script on a game that is open.

    Args:
        session: The game.
        episode: The sort of episode that is to begin.
    """

    def __init__(self, session: Session, episode: str) -> None:
        self._session = session
        self._episode = episode
        self._last: dict[str, float] = {}
        self._view: View | None = None
        self._up_at = time.monotonic()  # when a key last came up; at the latest when the script began

    def run(self, steps: tuple[Step, ...], name: str) -> None:
        """Do ``steps`` one after the other.

        Args:
            steps: The script.
            name: Its name, for messages.

        Raises:
            ResetError: If a step does not come to its end in time; with a screenshot.
            Killed: If somebody pressed the kill chord.
        """
        for index, step in enumerate(steps):
            if step.episode in ("", self._episode) and (step.when is None or step.when.holds(self._read(), self._last)):
                self._do(step, f"{name}[{index}]")

    def _do(self, step: Step, where: str) -> None:
        deadline = time.monotonic() + step.timeout
        self._deed(step, where, deadline)
        if step.until is None:
            return
        again = time.monotonic() + step.again
        before = dict(self._last)
        unpressed = self._session.dry and step.do not in ("look", "wait")
        while not step.until.holds(readings := self._read(), before):
            if unpressed:
                raise self._failed(
                    where,
                    f"this is a dry run, nothing is pressed, and {step.until.text!r} may never come true; read was "
                    f"{readings}. Pass armed=True (--arm) to press, or bring the game there yourself and reset again",
                )
            now = time.monotonic()
            if now > deadline:
                dry = " (a dry run: nothing was pressed)" if self._session.dry else ""
                why = self._unread(step.until, readings)
                raise self._failed(where, f"{step.until.text!r} did not come true{dry}; read was {readings}{why}")
            if step.again and now > again:
                self._deed(step, where, deadline)
                again = now + step.again
            self._sleep(LOOK_S)

    def _deed(self, step: Step, where: str, deadline: float) -> None:
        if step.do == "wait":
            self._sleep(step.seconds)
        elif step.do == "move":
            move = ("move", *step.place) if step.place else ("move_by", *(step.by or (0, 0)))
            self._ask([move], "the pointer could not be moved", where, deadline)
        elif step.do == "type":
            for character in step.text:
                self._press((TYPED + character,), step, where, deadline)
        elif step.do in ("press", "click"):
            self._press(step.keys or (BUTTON[step.button],), step, where, deadline)

    def _press(self, names: tuple[str, ...], step: Step, where: str, deadline: float) -> None:
        """Tap the last of these keys while the others are held."""
        *modifiers, name = names
        commands: list[Command] = [] if step.place is None else [("move", *step.place)]
        commands += [("hold", modifier) for modifier in modifiers]
        # A press that had to wait for its turn would not be renewed, nor be seen to come up.
        time.sleep(max(0.0, self._up_at + GAP_NS / 1e9 - time.monotonic()))
        what = f"{name.removeprefix(TYPED)} could not be pressed"
        report = self._ask([*commands, ("tap", name, step.hold_ms)], what, where, deadline)
        up = time.monotonic() + step.hold_ms / 1e3 + self._session.timeout
        while not report.killed and name in report.held:
            if time.monotonic() > up:
                raise self._failed(where, f"{name} did not come up")
            time.sleep(0.02)  # to ask more often costs the input server more than playing does
            report = self._session.act([], LEASE_S)
        self._up_at = time.monotonic()
        if modifiers:
            report = self._session.act([("release", modifier) for modifier in modifiers], LEASE_S)
        self._refuse_killed(report)

    def _ask(self, commands: list[Command], what: str, where: str, deadline: float) -> Report:
        # The game may not have the focus yet.
        while (report := self._session.act(commands, LEASE_S)).refused or report.dropped:
            if time.monotonic() > deadline:
                raise self._failed(where, f"{what}: the game has not the focus, or is covered")
            self._session.input.release_all()
            self._session.focus()
        self._refuse_killed(report)
        return report

    def _refuse_killed(self, report: Report) -> None:
        if report.killed:
            raise Killed("Ctrl+Shift+F12 was pressed during the reset script.")

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            time.sleep(min(rest, 0.1))
            self._refuse_killed(self._session.input.report())

    def _read(self) -> dict[str, float | None]:
        view = self._session.look()
        self._view = view
        readings = self._session.read(view)
        self._last.update({name: value for name, value in readings.items() if value is not None})
        return readings

    def _unread(self, condition: Condition, readings: Readings) -> str:
        """Why there is no reading of what a condition is about, as far as its reader says."""
        assert self._view is not None
        why = self._session.explain(self._view)
        unread = [name for name in dict.fromkeys(condition.names) if readings[name] is None and why[name]]
        return "".join(f"; {name}: {why[name]}" for name in unread)

    def _failed(self, where: str, what: str) -> ResetError:
        if self._view is None:
            self._read()
        assert self._view is not None
        return ResetError(
            f"The script of the profile {self._session.profile.name!r} stopped at {where}: {what}. What was to be seen "
            f"then is saved in {save_screenshot(self._view.frame.pixels)}"
        )
