"""Runs the scripts of a profile: after a launch, and before every episode."""

from __future__ import annotations

import time

from hakisa_envs.screen.actions import BUTTON
from hakisa_envs.screen.errors import Killed, ResetError
from hakisa_envs.screen.game import Step
from hakisa_envs.screen.image import Pixels, save_screenshot
from hakisa_envs.screen.input.presses import GAP_NS
from hakisa_envs.screen.session import Session

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
        self._pixels: Pixels | None = None

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
        while not step.until.holds(readings := self._read(), before):
            now = time.monotonic()
            if now > deadline:
                raise self._failed(where, f"{step.until.text!r} did not come true; read was {readings}")
            if step.again and now > again:
                self._deed(step, where, deadline)
                again = now + step.again
            self._sleep(LOOK_S)

    def _deed(self, step: Step, where: str, deadline: float) -> None:
        if step.do == "wait":
            self._sleep(step.seconds)
        elif step.do in ("press", "click"):
            name = step.key or BUTTON[step.button]
            tap = ("tap", name, step.hold_ms)
            commands = [tap] if step.place is None else [("move", *step.place), tap]
            if step.hold_ms > 1e3 * LEASE_S:
                time.sleep(GAP_NS / 1e9)  # a press that had to wait for its turn would not be renewed
            # The game may not have the focus yet.
            while (report := self._session.act(commands, LEASE_S)).refused or report.dropped:
                if time.monotonic() > deadline:
                    raise self._failed(where, f"{name} could not be pressed: the game has not the focus, or is covered")
                self._session.focus()
            up = time.monotonic() + step.hold_ms / 1e3 + self._session.timeout
            while not report.killed and name in report.held:
                if time.monotonic() > up:
                    raise self._failed(where, f"{name} did not come up")
                time.sleep(0.02)  # to ask more often costs the input server more than playing does
                report = self._session.act([], LEASE_S)
            if report.killed:
                raise Killed("Ctrl+Shift+F12 was pressed during the reset script.")

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            time.sleep(min(rest, 0.1))
            if self._session.input.report().killed:
                raise Killed("Ctrl+Shift+F12 was pressed during the reset script.")

    def _read(self) -> dict[str, float | None]:
        view = self._session.look()
        self._pixels = view.frame.pixels
        readings = self._session.read(view)
        self._last.update({name: value for name, value in readings.items() if value is not None})
        return readings

    def _failed(self, where: str, what: str) -> ResetError:
        if self._pixels is None:
            self._read()
        assert self._pixels is not None
        return ResetError(
            f"The script of the profile {self._session.profile.name!r} stopped at {where}: {what}. What was to be seen "
            f"then is saved in {save_screenshot(self._pixels)}"
        )
