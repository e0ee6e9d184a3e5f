"""A vector env with a process per column, for live and emulated games: one that dies is replaced."""

from __future__ import annotations

import copy
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import TimeLimit
from numpy.typing import ArrayLike, NDArray

from hakisa_envs import contract
from hakisa_envs.column import RESET, START, STEP, Column, Failure, Failures, Info, Phase
from hakisa_envs.errors import checked_choice, checked_float, checked_int
from hakisa_envs.masked_reset import Seeds, read_reset
from hakisa_envs.shared_memory import Rows
from hakisa_envs.starter import Starter, WorkerError
from hakisa_envs.worker import EnvFactory, preload, refuse_to_run_again

__all__ = ["ProcessVectorEnv", "WorkerError", "make_process_vec"]

Step = tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Info]
NO_ROW = {contract.TRANSITION: False, contract.COUNTED: False}


def make_process_vec(
    env: str | EnvFactory | Callable[..., gym.Env[Any, Any]],
    num_envs: int = 1,
    *,
    max_episode_steps: int | None = None,
    start_timeout: float = 120.0,
    step_timeout: float = 10.0,
    reset_timeout: float = 120.0,
    context: str = "forkserver",
    **options: Any,
) -> ProcessVectorEnv:
    """Make a `ProcessVectorEnv` of envs that are alike: live games, emulators, or any other.

    Args:
        env: An id, or a class or function that makes an env of ``options``.
        num_envs: Number of columns.
        max_episode_steps: Truncate episodes after so many steps; -1 for never; None for what the id says.
        start_timeout, step_timeout, reset_timeout, context: Of `ProcessVectorEnv`.
        options: Of the env.
    """
    checked_int("num_envs", num_envs, 1)
    # A spec knows its entry point, also where a process that was just started has not registered the id.
    maker = partial(gym.make, gym.spec(env)) if isinstance(env, str) else env
    factory = partial(_make_one, maker, isinstance(env, str), max_episode_steps, options)
    return ProcessVectorEnv(
        [factory] * num_envs,
        start_timeout=start_timeout,
        step_timeout=step_timeout,
        reset_timeout=reset_timeout,
        context=context,
    )


def _make_one(
    maker: Callable[..., gym.Env[Any, Any]], limits_itself: bool, limit: int | None, options: Mapping[str, Any]
) -> gym.Env[Any, Any]:
    if limits_itself:
        return maker(max_episode_steps=limit, **options)
    env = maker(**options)
    return env if limit in (None, -1) else TimeLimit(env, limit)


class ProcessVectorEnv(VectorEnv[Any, NDArray[Any], NDArray[Any]]):
    """Steps one env per process, observations in shared memory. It follows docs/contract.md.

    A process that dies, or does not answer in time, is killed and replaced. If that happens in a step, the row says
    ``truncated``, and ``infos["failure"]`` why; it is no transition and does not count. If it happens at any other
    time, the next row brings the first observation of a new episode, as it does after an episode that nobody reset:
    ``infos["began"]`` is True, and the row is no transition and does not count. The fourth failure within ten minutes
    raises instead. An exception that an env raises is raised here.

    ``reset`` takes ``options={"reset_mask": bool array}``. A column that has ended and is not reset by mask is
    reset by the next `step`, whose action it ignores (Gymnasium's ``NEXT_STEP``).

    With ``options={"reset_mask": ..., "overlap": True}`` a reset of some of the columns returns at once, and its
    ``infos["resetting"]`` says which of them are not ready. While a column is being reset the others step on, and its
    rows hold no data: observation and reward 0, ``infos["resetting"]`` True, ``infos["transition"]`` False. The last
    of these rows brings the first observation of the new episode, and ``infos["began"]`` True.

    Nothing is made in this process: the first column's is started at once, and says what its env is like; the others
    start when they are needed. An env that does not follow the contract is neither paused nor asked for its state,
    and what it calls by a word of the contract is called ``env_<word>`` in ``infos``, but for ``action_mask``.

    Where the envs offer states, so does this: ``get_state()`` returns a list with one per column, None where no
    episode runs, and ``set_state(list)`` puts columns that need not have been reset where they were. It returns
    nothing: whoever keeps states keeps the last observations, too. Where they do not, it has no such attributes
    (``hasattr`` says so), and the AttributeError says why. Likewise ``action_masks()``: a list with what the method of
    each env returns, None where no episode runs.

    Args:
        env_fns: A factory per column. Constructing an env must open nothing.
        start_timeout: Seconds that starting a process and making its env may take.
        step_timeout: Seconds that a step may take, or anything else that is asked of an env.
        reset_timeout: Seconds that a reset may take.
        context: How processes are started: ``"forkserver"``, ``"spawn"`` or ``"fork"``.

    Attributes:
        groups: Vector envs that are, one after the other, these columns: two halves, which different threads may
            step; none where there is one column, or a game in real time, which has one clock.

    Raises:
        ValueError: If there are no factories, their spaces differ (as soon as a process says so), or observations
            are neither a `Box` nor a `Dict` of `Box`.
        WorkerError: If the first process does not start.
    """

    _owns = True  # its processes; groups do not
    _columns: Sequence[Column] = ()

    def __init__(
        self,
        env_fns: Sequence[EnvFactory],
        *,
        start_timeout: float = 120.0,
        step_timeout: float = 10.0,
        reset_timeout: float = 120.0,
        context: str = "forkserver",
    ) -> None:
        refuse_to_run_again()
        if not env_fns:
            raise ValueError("env_fns is empty: give a factory per column.")
        self.num_envs = len(env_fns)
        timeouts = {
            START: checked_float("start_timeout", start_timeout, 0.01, 3600.0),
            STEP: checked_float("step_timeout", step_timeout, 0.01, 3600.0),
            RESET: checked_float("reset_timeout", reset_timeout, 0.01, 3600.0),
        }
        checked_choice("context", context, ("forkserver", "spawn", "fork"))
        self._sent: list[Phase] | None = None  # where columns stood when a step was sent
        if context == "forkserver":
            preload()
        self._starter = Starter(multiprocessing.get_context(context), env_fns, start_timeout)
        self._observations: Rows = self._starter.memory.rows
        failures = Failures()
        self._columns = [Column(number, self._starter, failures, timeouts) for number in range(self.num_envs)]

        facts = self._starter.facts
        self.metadata = {
            **facts.metadata,
            contract.CONTRACT: contract.VERSION,
            contract.MASKED_RESET: True,
            contract.OVERLAPPING_RESETS: True,
            "autoreset_mode": AutoresetMode.NEXT_STEP,
        }
        self.render_mode = facts.render_mode
        self.spec = facts.spec
        self.single_observation_space = facts.observation_space
        self.single_action_space = facts.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        half = self.num_envs // 2
        halves = half and not self.metadata.get(contract.REAL_TIME)
        self.groups: tuple[ProcessVectorEnv, ...] = (
            (self._group(0, half), self._group(half, self.num_envs)) if halves else ()
        )

    def reset(self, *, seed: Seeds = None, options: Info | None = None) -> tuple[Any, Info]:
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
        if any(column.phase is Phase.NEW for column, due in zip(self._columns, mask, strict=True) if not due):
            raise ValueError("The first reset must be of all columns: call reset() without a reset_mask.")
        rest = {key: value for key, value in (options or {}).items() if key not in ("reset_mask", "overlap")}
        overlap = bool((options or {}).get("overlap", False)) and not mask.all()
        self._sent = None
        chosen = np.flatnonzero(mask).tolist()
        for index in chosen:
            self._columns[index].begin(seeds[index], rest, overlap)
        infos: Info = {}
        for index in chosen:
            info = {} if overlap else self._columns[index].began(patient=True) or {}
            told = {contract.RESETTING: overlap, contract.BEGAN: not overlap}
            infos = self._add_info(infos, info | told, index)
        return self._seen(), infos

    def step(self, actions: ArrayLike) -> Step:
        """Step every column that is neither being reset nor at its end, and wait for all of them."""
        self.step_async(actions)
        return self.step_wait()

    def step_async(self, actions: ArrayLike) -> None:
        """Begin a `step`, and do not wait for it: act for others, or think, until `step_wait`.

        Raises:
            gymnasium.error.ResetNeeded: Before the first `reset`.
        """
        given = np.asarray(actions)
        self._catch_up()
        if any(column.phase is Phase.NEW for column in self._columns):
            raise gym.error.ResetNeeded("There is no episode: call reset() before step().")
        # A reset that nobody meant to overlap runs since a step that was interrupted: this one waits for it.
        self._sent = [
            Phase.ENDED if column.phase is Phase.RESETTING and not column.overlaps else column.phase
            for column in self._columns
        ]
        for column, action in zip(self._columns, given, strict=True):
            if column.phase is Phase.PLAYING:
                column.ask(STEP, action)
            elif column.phase is Phase.ENDED:
                column.begin(None, {})

    def step_wait(self) -> Step:
        """Wait for the step that `step_async` began, and return what `step` does.

        Raises:
            RuntimeError: If none was begun, or something else was done since.
        """
        sent, self._sent = self._sent, None
        if sent is None:
            raise RuntimeError("No step was begun, or something else came between: call step_async(actions) first.")
        if all(phase is Phase.RESETTING for phase in sent):  # nobody sets the pace: wait until one is ready
            wait([column.connection for column in self._columns], min(column.left for column in self._columns))
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, np.bool_), np.zeros(self.num_envs, np.bool_)
        infos: Info = {}
        raised: BaseException | None = None
        for index, (column, phase) in enumerate(zip(self._columns, sent, strict=True)):
            info: Info = {}
            try:
                if phase is Phase.PLAYING:
                    rewards[index], terminated[index], truncated[index], info = self._played(index)
                else:
                    began = column.began(patient=phase is Phase.ENDED)
                    info = {**(began or {}), **NO_ROW, contract.BEGAN: began is not None}
            except BaseException as error:  # the others' answers must be read before it is raised
                raised = raised or error
            told = {contract.RESETTING: phase is Phase.RESETTING}
            infos = self._add_info(infos, info | told, index)
        if raised is not None:
            raise raised
        return self._seen(), rewards, terminated, truncated, infos

    def pause(self) -> None:
        """Pause every env that can be, and let it let go of everything; one that is being reset, after that."""
        self._tell(contract.PAUSE)

    def resume(self) -> None:
        """End `pause`."""
        self._tell(contract.RESUME)

    @property
    def get_state(self) -> Callable[[], list[dict[str, Any] | None]]:
        """See the class."""
        self._require_states()
        return self._get_state

    @property
    def set_state(self) -> Callable[[Sequence[Mapping[str, Any] | None]], None]:
        """See the class."""
        self._require_states()
        return self._set_state

    @property
    def action_masks(self) -> Callable[[], list[Any]]:
        """See the class."""
        if not self._starter.facts.has_masks:
            raise AttributeError(f"{self._starter.facts.name} has no method {contract.ACTION_MASKS}().")
        return self._action_masks

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call the method ``name`` of every env, or get that attribute; the results must survive pickling.

        For what it raises see `_call_each`.
        """
        return self._call_each(name, [args] * self.num_envs, kwargs)

    def set_attr(self, name: str, values: Any) -> None:
        """Set the attribute ``name`` of every env to its entry of a list, or to one value for all, as `call` does."""
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"Got {len(each)} values of {name!r} for {self.num_envs} columns.")
        self._call_each("set_wrapper_attr", [(name, value) for value in each], {})

    def _call_each(self, name: str, arguments: Sequence[tuple[Any, ...]], keywords: Info) -> tuple[Any, ...]:
        """Call the method ``name`` of every env with its own arguments.

        Raises:
            AttributeError: If an env has none of that name.
            RuntimeError: While a column is being reset.
            WorkerError: If a process dies of it or is found dead; its column begins a new episode.
        """
        self._catch_up()
        resetting = [index for index, column in enumerate(self._columns) if column.phase is Phase.RESETTING]
        if resetting:
            raise RuntimeError(
                f"The columns {resetting} are being reset: step until infos['resetting'] is False, then call({name!r})."
            )
        for column, args in zip(self._columns, arguments, strict=True):
            column.ask("call", (name, args, keywords))
        answers = _all_answers(self._columns, Column.answer)
        for answer in answers:
            if isinstance(answer, Failure):
                raise WorkerError(answer.words)
        return tuple(answers)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute ``name`` of every env; a method is called, as Gymnasium's vector envs do."""
        return self.call(name)

    def render(self) -> tuple[Any, ...]:
        """What every env renders."""
        return self.call("render")

    @property
    def pids(self) -> list[int | None]:
        """The process of every column; None where there is none yet."""
        return [column.worker.process.pid if column.worker else None for column in self._columns]

    def close_extras(self, **kwargs: Any) -> None:
        """End all processes; one that does not end by itself is killed."""
        if not self._owns:
            return
        for column in self._columns:
            column.say_goodbye()
        deadline = time.monotonic() + 10.0
        for column in self._columns:
            column.end(max(0.1, deadline - time.monotonic()))
        if self._columns:  # or it was not even begun
            self._starter.close()

    def _group(self, start: int, end: int) -> ProcessVectorEnv:
        """The columns from ``start`` to ``end`` as a vector env of their own, on the same processes and memory."""
        group = copy.copy(self)
        group.num_envs = end - start
        group.observation_space = batch_space(self.single_observation_space, group.num_envs)
        group.action_space = batch_space(self.single_action_space, group.num_envs)
        group.groups = ()
        group._columns = self._columns[start:end]
        group._observations = {key: rows[start:end] for key, rows in self._observations.items()}
        group._owns = False
        return group

    def _played(self, index: int) -> tuple[float, bool, bool, Info]:
        column = self._columns[index]
        answer = column.answer()
        if not isinstance(answer, Failure):
            reward, terminated, truncated, info = answer
            return reward, terminated, truncated, info
        column.lost = ""  # this row says it
        for rows in self._observations.values():
            rows[index] = 0
        return 0.0, False, True, {"failure": answer.words, **NO_ROW}

    def _seen(self) -> Any:
        resetting = [column.phase is Phase.RESETTING for column in self._columns]
        seen = {key: rows.copy() for key, rows in self._observations.items()}
        if any(resetting):
            for rows in seen.values():
                rows[resetting] = 0  # a process may be writing there
        return seen if isinstance(self.single_observation_space, Dict) else seen[""]

    def _catch_up(self) -> None:
        self._sent = None
        _all_answers(self._columns, Column.catch_up)

    def _tell(self, name: str) -> None:
        self._catch_up()
        told = [column for column in self._columns if column.has_begun]
        for column in told:
            column.ask(name)
        # Who is being reset is busy, and does it after that.
        _all_answers([column for column in told if column.phase is not Phase.RESETTING], Column.answer)

    def _action_masks(self) -> list[Any]:
        self._catch_up()
        asked = [c for c in self._columns if c.has_begun and c.phase in (Phase.PLAYING, Phase.ENDED)]
        for column in asked:
            column.ask("call", (contract.ACTION_MASKS, (), {}))
        answers = dict(zip(asked, _all_answers(asked, Column.answer), strict=True))
        return [None if isinstance(mask := answers.get(column), Failure) else mask for column in self._columns]

    def _require_states(self) -> None:
        why_not = self._starter.facts.why_no_state
        if why_not:
            raise AttributeError(f"There are no states of these envs: {why_not}.")

    def _get_state(self) -> list[dict[str, Any] | None]:
        self._catch_up()
        asked = [column.has_begun and column.phase in (Phase.PLAYING, Phase.ENDED) for column in self._columns]
        for column, due in zip(self._columns, asked, strict=True):
            if due:
                column.ask(contract.GET_STATE)
        taken = iter(_all_answers([c for c, due in zip(self._columns, asked, strict=True) if due], Column.taken))
        return [next(taken) if due else None for due in asked]

    def _set_state(self, states: Sequence[Mapping[str, Any] | None]) -> None:
        if len(states) != self.num_envs:
            raise ValueError(f"Got {len(states)} states for {self.num_envs} columns.")
        self._catch_up()
        for column, state in zip(self._columns, states, strict=True):
            column.put(state)
        _all_answers(self._columns, Column.answer)


def _all_answers(columns: Sequence[Column], take: Callable[[Column], Any]) -> list[Any]:
    """What ``take`` makes of every column; the first exception is raised after the last column's turn."""
    answers: list[Any] = []
    raised: BaseException | None = None
    for column in columns:
        try:
            answers.append(take(column))
        except BaseException as error:
            raised = raised or error
    if raised is not None:
        raise raised
    return answers
