"""A vector env with a process per column, for live and emulated games: one that dies is replaced."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import CloudpickleWrapper, batch_space
from numpy.typing import ArrayLike, NDArray

from hakisa_envs.errors import checked_choice, checked_float
from hakisa_envs.masked_reset import Seeds, read_reset
from hakisa_envs.processes import how_it_ended

EnvFactory = Callable[[], gym.Env[Any, Any]]
FAILURES, FAILURE_WINDOW_S = 3, 600.0
Info = dict[str, Any]


class WorkerError(RuntimeError):
    """A column's process died or hung too often; the message says which and how."""


class ProcessVectorEnv(VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]]):
    """Steps one env per process, observations in shared memory.

    A process that dies, or does not answer in time, is killed and replaced. The row says ``truncated``, and
    ``infos["failure"]`` why; it is no transition (``infos["transition"]`` is False). The fourth failure within
    ten minutes raises instead. An exception that an env raises is raised here.

    ``reset`` takes ``options={"reset_mask": bool array}``. A column that has ended and is not reset by mask is
    reset by the next `step`, whose action it ignores (Gymnasium's ``NEXT_STEP``).

    With ``options={"reset_mask": ..., "overlap": True}`` a reset of some of the columns returns at once, and its
    ``infos["resetting"]`` says which of them are not ready. While a column is being reset the others step on, and its
    rows hold no data: observation and reward 0, ``infos["resetting"]`` True, ``infos["transition"]`` False. The last
    of these rows brings the first observation of the new episode, and ``infos["began"]`` True.

    Args:
        env_fns: A factory per column. Constructing an env must open nothing: one is made here for its spaces.
        step_timeout: Seconds that a step may take.
        reset_timeout: Seconds that a reset may take.
        context: How processes are started: ``"forkserver"``, ``"spawn"`` or ``"fork"``.

    Raises:
        ValueError: If there are no factories, their spaces differ, or observations are no `Box`.
    """

    def __init__(
        self,
        env_fns: Sequence[EnvFactory],
        *,
        step_timeout: float = 10.0,
        reset_timeout: float = 120.0,
        context: str = "forkserver",
    ) -> None:
        if not env_fns:
            raise ValueError("env_fns is empty: give a factory per column.")
        self.num_envs = len(env_fns)
        self.step_timeout = checked_float("step_timeout", step_timeout, 0.01, 3600.0)
        self.reset_timeout = checked_float("reset_timeout", reset_timeout, 0.01, 3600.0)
        checked_choice("context", context, ("forkserver", "spawn", "fork"))
        self._context: Any = multiprocessing.get_context(context)
        self._factories = list(env_fns)
        probe = env_fns[0]()
        try:
            self.single_observation_space: Any = probe.observation_space
            self.single_action_space: Any = probe.action_space
            self.metadata = {
                **probe.metadata,
                "autoreset_mode": AutoresetMode.NEXT_STEP,
                "masked_reset": True,
                "overlapping_resets": True,
            }
            self.render_mode = probe.render_mode
            self.spec = probe.spec
        finally:
            probe.close()
        if not isinstance(self.single_observation_space, Box):
            raise ValueError(f"Observations must be a Box, not {self.single_observation_space}.")
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        shape, dtype = self.observation_space.shape or (), np.dtype(self.single_observation_space.dtype)
        self._memory: Any = self._context.RawArray(ctypes.c_byte, int(np.prod(shape)) * dtype.itemsize)
        self._observations: NDArray[Any] = np.ndarray(shape, dtype, memoryview(self._memory))
        self._workers: list[_Worker] = []
        self._failures: deque[float] = deque(maxlen=FAILURES + 1)
        self._reset_data: dict[int, tuple[int | None, Info]] = {}
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._resetting = np.zeros(self.num_envs, np.bool_)
        self._queued = [0] * self.num_envs  # answers that will follow that of a running reset
        self._started = False

    def reset(self, *, seed: Seeds = None, options: Info | None = None) -> tuple[NDArray[Any], Info]:
        """Reset all columns, or those of ``options["reset_mask"]``.

        Args:
            seed: None, an int (column ``i`` gets ``seed + i``), or an entry per column or per reset column.
            options: May hold ``"reset_mask"``, bool array ``[num_envs]``, and ``"overlap"`` (see the class); the rest
                goes to the envs.

        Returns:
            Observations ``[num_envs, ...]`` of all columns, and infos of those that were reset.

        Raises:
            WorkerError: If processes die or hang too often.
        """
        mask, seeds = read_reset(self.num_envs, seed, options)
        if not self._started:
            if not mask.all():
                raise ValueError("The first reset must be of all columns: call reset() without a reset_mask.")
            self._open()
            self._started = True
        rest = {key: value for key, value in (options or {}).items() if key not in ("reset_mask", "overlap")}
        for column in _columns(mask):
            if self._resetting[column]:  # a second reset waits for the first
                self._await_reset(column)
            self._ask_reset(column, (seeds[column], rest))
        self._ended[mask] = False
        infos: Info = {}
        overlap = (options or {}).get("overlap", False) and not mask.all()
        for column in _columns(mask):
            info = {} if overlap else self._await_reset(column)
            infos = self._add_info(infos, info | {"resetting": overlap}, column)
        return self._seen(), infos

    def step(
        self, actions: ArrayLike
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Step every column that is neither being reset nor at its end, and wait for all of them."""
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, np.bool_), np.zeros(self.num_envs, np.bool_)
        infos: Info = {}
        idle = self._resetting.copy()
        due = self._ended & ~idle
        for column in _columns(due):
            self._ask_reset(column, (None, {}))
        playing = ~idle & ~due
        given = np.asarray(actions)
        for column in _columns(playing):
            self._ask(column, "step", given[column])
        if idle.all():  # nobody sets the pace: wait until one is ready
            wait([self._workers[column].connection for column in _columns(idle)], self.reset_timeout)
        raised: BaseException | None = None
        for column in range(self.num_envs):
            info: Info = {}
            try:
                if playing[column]:
                    answer = self._receive(column, self.step_timeout)
                    if isinstance(answer, _Failure):
                        truncated[column], info = True, {"failure": answer.words, "transition": False}
                        self._observations[column] = 0
                    else:
                        rewards[column], terminated[column], truncated[column], info = answer
                else:
                    began = self._try_reset(column) if idle[column] else self._await_reset(column)
                    info = (began or {}) | {"transition": False, "began": began is not None}
            except BaseException as error:  # the others' answers must be read before it is raised
                raised = raised or error
            info["resetting"] = bool(idle[column])
            infos = self._add_info(infos, info, column)
        if raised is not None:
            raise raised
        self._ended = terminated | truncated
        return self._seen(), rewards, terminated, truncated, infos

    def pause(self) -> None:
        """Pause every env that can be, and let it let go of everything; one that is being reset, after that."""
        self._tell("pause")

    def resume(self) -> None:
        """End `pause`."""
        self._tell("resume")

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the method ``name`` of every env, or get that attribute; the results must survive pickling.

        Raises:
            AttributeError: If an env has none of that name.
            RuntimeError: While a column is being reset.
        """
        if self._resetting.any():
            raise RuntimeError(
                f"The columns {_columns(self._resetting)} are being reset: step until infos['resetting'] is False, "
                f"then call({name!r})."
            )
        self._open()
        answers = self._ask_all("call", (name, args, kwargs))
        for answer in answers:
            if isinstance(answer, _Failure):
                raise WorkerError(answer.words)
        return tuple(answers)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute ``name`` of every env; a method is called, as Gymnasium's vector envs do."""
        return self.call(name)

    def render(self) -> tuple[Any, ...]:
        """What every env renders."""
        return self.call("render")

    def close_extras(self, **kwargs: Any) -> None:
        """End all processes; one that does not end by itself is killed."""
        for worker in self._workers:
            worker.say_goodbye()
        deadline = time.monotonic() + 10.0
        for worker in self._workers:
            worker.end(max(0.1, deadline - time.monotonic()))
        self._workers = []

    def _open(self) -> None:
        if not self._workers:
            self._workers = [self._start(column) for column in range(self.num_envs)]

    def _start(self, column: int) -> _Worker:
        return _Worker(self._context, self._factories[column], self._memory, self.num_envs, column)

    def _seen(self) -> NDArray[Any]:
        observations = self._observations.copy()
        observations[self._resetting] = 0  # a process may be writing there
        return observations

    def _ask(self, column: int, verb: str, data: Any) -> None:
        self._workers[column].ask(verb, data)

    def _ask_reset(self, column: int, data: tuple[int | None, Info]) -> None:
        self._reset_data[column] = data  # for the process that takes over if this one fails
        self._resetting[column] = True
        self._queued[column] = 0
        self._ask(column, "reset", data)

    def _receive(self, column: int, timeout: float) -> Any:
        """What a process answers; a `_Failure` if it failed instead and has been replaced."""
        worker = self._workers[column]
        failure = worker.wait_for_answer(timeout)
        if failure is None:
            verb, data = worker.receive()
            if verb == "raised":
                raise data
            if verb == "ok":
                return data
            failure = data
        failure = f"The process of column {column} {failure}."
        self._failures.append(time.monotonic())
        if len(self._failures) > FAILURES and self._failures[-1] - self._failures[0] < FAILURE_WINDOW_S:
            raise WorkerError(
                f"{failure} It is the fourth such failure within ten minutes, so it is not replaced again. Look at "
                "what it printed, run one env by itself, or fewer side by side; one that is only slow needs a longer "
                "step_timeout or reset_timeout."
            )
        worker.end(0.0)
        self._workers[column] = self._start(column)
        return _Failure(failure)

    def _await_reset(self, column: int) -> Info:
        while (info := self._take_reset(column)) is None:
            pass
        return info

    def _try_reset(self, column: int) -> Info | None:
        """The infos of a running reset if it has ended; None if it takes longer, or failed and runs again."""
        worker = self._workers[column]
        overdue = time.monotonic() - worker.asked_at > self.reset_timeout
        ready = worker.connection.poll() or not worker.process.is_alive()
        return self._take_reset(column) if ready or overdue else None

    def _take_reset(self, column: int) -> Info | None:
        left = max(0.0, self.reset_timeout - (time.monotonic() - self._workers[column].asked_at))
        answers: list[Any] = []
        raised: Exception | None = None
        for timeout in (left, *[self.step_timeout] * self._queued[column]):
            try:
                answers.append(self._receive(column, timeout))
            except Exception as error:
                raised = raised or error
            if answers and isinstance(answers[-1], _Failure):
                self._ask_reset(column, self._reset_data[column])
                return None
        self._resetting[column], self._queued[column] = False, 0
        if raised is not None:
            raise raised
        return dict(answers[0])

    def _tell(self, name: str) -> None:
        if not self._started:
            return
        for column in _columns(self._resetting):
            # It is busy. The time that its reset has left begins anew, which does no harm.
            self._ask(column, "tell", name)
            self._queued[column] += 1
        for column, answer in zip(_columns(~self._resetting), self._ask_all("tell", name), strict=True):
            if isinstance(answer, _Failure):
                self._ended[column] = True  # replaced, so its next step must be a reset

    def _ask_all(self, verb: str, data: Any) -> list[Any]:
        """The answers of all columns that are not being reset; the first exception among them is raised."""
        columns = _columns(~self._resetting)
        for column in columns:
            self._ask(column, verb, data)
        answers: list[Any] = []
        raised: Exception | None = None
        for column in columns:
            try:
                answers.append(self._receive(column, self.step_timeout))
            except Exception as error:  # the others' answers must be read before it is raised
                raised = raised or error
        if raised is not None:
            raise raised
        return answers


@dataclass(frozen=True)
class _Failure:
    """In place of an answer: the process died or hung, and has been replaced."""

    words: str


class _Worker:
    """A process with one env, seen from the trainer."""

    def __init__(self, context: Any, factory: EnvFactory, memory: Any, num_envs: int, column: int) -> None:
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        arguments = (CloudpickleWrapper(factory), theirs, memory, num_envs, column, os.getpid())
        self.process = context.Process(target=_work, args=arguments, name=f"hakisa-env-{column}", daemon=True)
        self.process.start()
        theirs.close()
        self.asked_at = 0.0

    def ask(self, verb: str, data: Any) -> None:
        self.asked_at = time.monotonic()
        try:
            self.connection.send((verb, data))
        except OSError:  # it has died, which the wait for its answer finds out
            return

    def wait_for_answer(self, timeout: float) -> str | None:
        """None if there is one to receive, else what is wrong."""
        if self.connection.poll(0) or self.connection in wait([self.connection, self.process.sentinel], timeout):
            return None
        if not self.process.is_alive():
            return f"died ({how_it_ended(self.process.exitcode)})"
        return f"did not answer within {timeout:g} s"

    def receive(self) -> tuple[str, Any]:
        try:
            verb, data = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(1.0)
            return "ended", f"died ({how_it_ended(self.process.exitcode)})"
        return verb, data

    def say_goodbye(self) -> None:
        self.ask("close", None)

    def end(self, timeout: float) -> None:
        """Wait, then kill: a stopped process hears nothing else."""
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()


def _work(
    factory: CloudpickleWrapper, connection: Connection, memory: Any, num_envs: int, column: int, trainer: int
) -> None:
    """A process: makes its env and does what it is asked."""
    _die_with(trainer)
    env: gym.Env[Any, Any] | None = None
    try:
        while True:
            verb, data = connection.recv()
            if verb == "close":
                return
            try:
                answer: Any = None
                if env is None:  # made here, so that what it raises is told like any other exception
                    env = factory()
                    space = env.observation_space
                    rows: NDArray[Any] = np.ndarray((num_envs, *(space.shape or ())), space.dtype, memory)
                if verb == "reset":
                    rows[column], answer = env.reset(seed=data[0], options=data[1])
                elif verb == "step":
                    rows[column], reward, terminated, truncated, info = env.step(data)
                    answer = (float(reward), bool(terminated), bool(truncated), info)
                elif verb == "call":
                    found = env.get_wrapper_attr(data[0])
                    answer = found(*data[1], **data[2]) if callable(found) else found
                elif env.has_wrapper_attr(data):
                    env.get_wrapper_attr(data)()
                connection.send(("ok", answer))
            except Exception as error:
                error.add_note(f"Raised in the process of column {column}:\n{traceback.format_exc()}")
                connection.send(("raised", _portable(error)))
    except (EOFError, OSError):  # the trainer has gone
        return
    finally:
        if env is not None:
            env.close()


def _columns(mask: NDArray[np.bool_]) -> list[int]:
    columns: list[int] = np.flatnonzero(mask).tolist()
    return columns


def _portable(error: Exception) -> Exception:
    """The exception itself if it survives pickling, else its words."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _die_with(trainer: int) -> None:
    """End this process at once when the trainer dies, whatever it is doing: a reset may take long."""
    if not hasattr(os, "pidfd_open"):
        return
    try:
        pidfd = os.pidfd_open(trainer)
    except ProcessLookupError:
        os._exit(1)

    def watch() -> None:
        select.select([pidfd], [], [])
        os._exit(1)

    threading.Thread(target=watch, name="hakisa-trainer-watch", daemon=True).start()
