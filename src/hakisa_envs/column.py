"""One column of a vector env of processes: whatever process plays it just now, and where its episode stands."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from typing import Any

from hakisa_envs.contract import SET_STATE
from hakisa_envs.starter import Starter, WorkerError
from hakisa_envs.worker import EnvFacts

FAILURES, FAILURE_WINDOW_S = 3, 600.0
START, STEP, RESET = "start", "step", "reset"
Info = dict[str, Any]


class Phase(Enum):
    """Where the episode of a column stands."""

    NEW = "none was begun yet"
    PLAYING = "it runs"
    ENDED = "it is over, or was lost with its process: the next step begins another"
    RESETTING = "it is being begun"


@dataclass(frozen=True)
class Failure:
    """In place of an answer: the process died or hung, and has been replaced."""

    words: str


class Failures:
    """Counts the failures of all columns, which different threads may step."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=FAILURES + 1)
        self._lock = threading.Lock()

    def count(self, words: str) -> None:
        """Take note of one.

        Raises:
            WorkerError: If it is the fourth within ten minutes.
        """
        with self._lock:
            self._times.append(time.monotonic())
            too_many = len(self._times) > FAILURES and self._times[-1] - self._times[0] < FAILURE_WINDOW_S
        if too_many:
            raise WorkerError(
                f"{words} It is the fourth such failure within ten minutes, so it is not replaced again. Look at "
                "what it printed, run one env by itself, or fewer side by side; one that is only slow needs a longer "
                "start_timeout, step_timeout or reset_timeout."
            )


class Column:
    """An env in a process of its own, replaced when that dies or hangs.

    What is asked is answered in its order, and may queue behind the start of the process or of an episode.

    Args:
        number: Which column it is, for messages.
        starter: Starts its process.
        failures: Of all columns.
        timeouts: Seconds by verb: start, step, reset; others may take as long as a step.

    Attributes:
        phase: Where its episode stands.
        overlaps: Whether the other columns step on while an episode is being begun.
        lost: Why the episode was lost since the last row; empty if it was not.
    """

    def __init__(
        self,
        number: int,
        starter: Starter,
        failures: Failures,
        timeouts: Mapping[str, float],
    ) -> None:
        self.number = number
        self.phase = Phase.NEW
        self.overlaps = False
        self.lost = ""
        self.worker = starter.take_first() if number == 0 else None
        self._starter, self._failures, self._timeouts = starter, failures, timeouts
        self._unanswered: deque[str] = deque()
        self._since = 0.0  # when the oldest of these was asked, or the answer before it came
        self._reset_data: tuple[int | None, Info, bool] = (None, {}, False)
        self._began: Info = {}  # the infos of the last reset

    def ask(self, verb: str, data: Any = None) -> None:
        """Ask the process for something, which `answer` then brings; start it if there is none."""
        if self.worker is None:
            self._start()
        assert self.worker is not None
        if not self._unanswered:
            self._since = time.monotonic()
        self._unanswered.append(verb)
        self.worker.ask(verb, data)

    def answer(self) -> Any:
        """Wait for all that was asked, and return the last answer, or the `Failure` that came instead.

        A step's is ``(reward, terminated, truncated, info)``; that of a reset, its infos.
        """
        return self._settle(patient=True)

    def catch_up(self) -> None:
        """Wait for what was asked and never answered, as after Ctrl+C; not for an episode that is being begun."""
        if self.phase is not Phase.RESETTING and any(verb != START for verb in self._unanswered):
            self.answer()

    def begin(self, seed: int | None, options: Info, overlaps: bool = False) -> None:
        """Ask for a new episode; one that is being begun is waited for first.

        Args:
            seed: Of the reset.
            options: Of the reset.
            overlaps: Whether the other columns step on meanwhile; else the next step waits for it.
        """
        if self.phase is Phase.RESETTING:
            self.answer()
        self.catch_up()
        self._reset_data = (seed, options, overlaps)  # for the process that takes over if this one fails
        self.ask(RESET, (seed, options))
        self.overlaps = overlaps
        self.phase = Phase.RESETTING

    def began(self, patient: bool) -> Info | None:
        """The infos of the episode that was being begun; None if it takes longer and one is not patient."""
        self._settle(patient)
        if self.phase is Phase.RESETTING:
            return None
        lost, self.lost = self.lost, ""
        return self._began | ({"failure": lost} if lost else {})

    def lose(self, words: str) -> None:
        """Give the episode up: the next step begins another."""
        if self.phase is not Phase.NEW:
            self.phase, self.lost = Phase.ENDED, words

    def put(self, state: Mapping[str, Any] | None) -> None:
        """Ask for an episode that goes on from a state of `taken`; None for one that begins with the next step."""
        if self.phase is Phase.RESETTING:
            self.answer()
        self.phase = Phase.ENDED
        if state is None:
            self.lost = f"Column {self.number} had no running episode when its state was asked for."
            return
        self.ask(SET_STATE, state)
        self.phase, self.lost = Phase.ENDED if state["ended"] else Phase.PLAYING, ""

    def taken(self) -> dict[str, Any] | None:
        """The state that was asked for; None where the episode was lost."""
        ended = self.phase is Phase.ENDED
        answer = self.answer()
        return None if isinstance(answer, Failure) else {**answer, "ended": ended}

    @property
    def connection(self) -> Connection:
        """That of the process."""
        assert self.worker is not None
        return self.worker.connection

    @property
    def left(self) -> float:
        """Seconds that the oldest unanswered request may still take."""
        return max(0.0, self._since + self._limit - time.monotonic())

    @property
    def has_begun(self) -> bool:
        """Whether its process has begun an episode, be it over or not."""
        return self.worker is not None and self.worker.begun

    def say_goodbye(self) -> None:
        """Ask the process to end."""
        if self.worker is not None:
            self.worker.ask("close")

    def end(self, timeout: float) -> None:
        """End the process, by force after ``timeout`` seconds."""
        worker, self.worker = self.worker, None
        self._unanswered.clear()
        if worker is not None:
            worker.end(timeout)

    @property
    def _limit(self) -> float:
        return self._timeouts.get(self._unanswered[0], self._timeouts[STEP])

    def _start(self) -> None:
        self.worker = self._starter.start(self.number)
        self._unanswered = deque([START])
        self._since = time.monotonic()

    def _settle(self, patient: bool) -> Any:
        """Read answers until none is due; the first exception among them is raised after the last.

        A process that took over is not waited for, unless it has an episode to begin.
        """
        answer: Any = None
        raised: Exception | None = None
        while self._unanswered:
            assert self.worker is not None
            left = self.left
            message = self.worker.receive(left if patient else 0.0)
            if message is None and not patient and left > 0:
                return None
            late: Any = f"did not answer within {self._limit:g} s"
            verb, data = message or ("late", late)
            # What queued behind a reset takes no time, and an exception of that must not be lost meanwhile.
            patient = patient or (verb in ("ok", "raised") and self._unanswered[0] == RESET)
            if verb == "ok":
                answer = self._take(data)
            elif verb == "raised":
                raised = raised or data
                self._take_exception()
            else:
                answer = self._replace(data)
                if self.phase is not Phase.RESETTING:
                    break
        if raised is not None:
            raise raised
        return answer

    def _take(self, data: Any) -> Any:
        verb = self._unanswered.popleft()
        self._since = time.monotonic()
        if verb == START:
            self._check_facts(data.fn)
        elif verb == RESET:
            self.phase, self._began = Phase.PLAYING, data
        elif verb == STEP:
            self.phase = Phase.ENDED if data[1] or data[2] else Phase.PLAYING
        return data

    def _check_facts(self, facts: EnvFacts) -> None:
        try:
            self._starter.check(facts, self.number)
        except ValueError:
            self.end(1.0)
            self.phase = Phase.NEW
            raise

    def _take_exception(self) -> None:
        verb = self._unanswered.popleft()
        self._since = time.monotonic()
        if self.phase is not Phase.NEW and verb in (START, RESET, SET_STATE):
            self.phase = Phase.ENDED
        if verb == START:  # there is no env, and nothing else will be answered
            self.end(1.0)

    def _replace(self, words: str) -> Failure:
        doing = "while it started" if self._unanswered[0] == START else f"when asked to {self._unanswered[0]}"
        failure = Failure(f"The process of column {self.number} {words} {doing}.")
        self.end(0.0)
        self._failures.count(failure.words)
        self._start()
        if self.phase is Phase.RESETTING:
            self.phase = Phase.ENDED
            self.begin(*self._reset_data)
        else:
            self.lose(failure.words)
        return failure
