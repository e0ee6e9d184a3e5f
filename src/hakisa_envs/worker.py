"""A process that owns one env: what runs in it, and its face in the trainer's process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler, recv_handle, send_handle
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector.utils import CloudpickleWrapper

from hakisa_envs import contract, states
from hakisa_envs.processes import Ending, how_it_ended
from hakisa_envs.shared_memory import SharedObservations, boxes

EnvFactory = Callable[[], gym.Env[Any, Any]]


@dataclass(frozen=True)
class EnvFacts:
    """What a process says of its env once it has made it.

    Attributes:
        name: Of the env's class.
        observation_space: Of one observation.
        action_space: Of one action.
        metadata: The words of the contract left out where the env does not follow it.
        render_mode: Its own.
        spec: Its own.
        why_no_state: See `hakisa_envs.states.why_no_state`.
        has_masks: Whether it has a method ``action_masks``.
    """

    name: str
    observation_space: Space[Any]
    action_space: Space[Any]
    metadata: dict[str, Any]
    render_mode: str | None
    spec: Any
    why_no_state: str
    has_masks: bool

    @classmethod
    def of(cls, env: gym.Env[Any, Any]) -> EnvFacts:
        """The facts of ``env``."""
        metadata, own = env.metadata, states.follows_contract(env)
        return cls(
            type(env.unwrapped).__name__,
            env.observation_space,
            env.action_space,
            {key: value for key, value in metadata.items() if own or key not in contract.METADATA},
            env.render_mode,
            env.spec,
            states.why_no_state(env),
            env.has_wrapper_attr(contract.ACTION_MASKS),
        )


class Worker:
    """A process with one env, seen from the trainer.

    Constructing it starts the process and waits for nothing. Its first answer, which nobody asks for, are the
    `EnvFacts`; what is asked before that is answered after it.

    Args:
        context: Of `multiprocessing`.
        factory: Makes the env.
        column: Its number, for messages.

    Attributes:
        begun: Whether its env was asked to begin an episode.
    """

    def __init__(self, context: Any, factory: EnvFactory, column: int) -> None:
        self.begun = False
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        arguments = (CloudpickleWrapper(factory), theirs, column, os.getpid(), dict(os.environ))
        self.process = context.Process(target=work, args=arguments, name=f"hakisa-env-{column}", daemon=True)
        self.process.start()
        self._ending = Ending(self.process)
        theirs.close()

    def share(self, memory: SharedObservations, num_envs: int) -> None:
        """Give it the memory for observations, once, before anything is asked."""
        try:
            send_handle(self.connection, memory.fd, self.process.pid)
        except OSError:  # it has died, which the wait for its answer finds out
            return
        self.ask("memory", num_envs)

    def ask(self, verb: str, data: Any = None) -> None:
        """Send a request, whose answer `receive` brings (there is none to "memory" and "close")."""
        self.begun |= verb in ("reset", contract.SET_STATE)
        try:
            self.connection.send((verb, data))
        except OSError:  # it has died, which the wait for its answer finds out
            return

    def receive(self, timeout: float) -> tuple[str, Any] | None:
        """The next answer: ``("ok", what)``, ``("raised", exception)`` or ``("died", words)``; None: not in time."""
        ended = self._ending.sentinel
        if not self.connection.poll(0) and self.connection not in wait([self.connection, ended], timeout):
            return self._died() if self._ending.came() else None
        try:
            answer = self.connection.recv_bytes()
        except (EOFError, OSError):
            return self._died()
        try:
            verb, data = pickle.loads(answer)
        except Exception as error:
            error.add_note("An env's process sent something that cannot be unpickled here.")
            return "raised", error
        return verb, data

    def end(self, timeout: float) -> None:
        """Wait for its end, then bring it about."""
        self._ending.bring_about(timeout)
        self.connection.close()
        self.process.close()

    def _died(self) -> tuple[str, str]:
        self.process.join(1.0)
        return "died", f"died ({how_it_ended(self.process.exitcode)})"


def preload() -> None:
    """Let a fork server that starts from now on import what every env's process needs, once for all of them.

    Who has told it by `multiprocessing.set_forkserver_preload` what to import is obeyed instead.
    """
    if getattr(forkserver._forkserver, "_preload_modules", None) == ["__main__"]:  # as it is when nobody has
        forkserver.set_forkserver_preload(["__main__", __name__])


def refuse_to_run_again() -> None:
    """End a process that is just importing the script which started it, and so would do all that it does.

    `multiprocessing` marks it so. Quietly: the process that waits for this one says what is wrong.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


def work(
    factory: CloudpickleWrapper[Any], connection: Connection, column: int, trainer: int, environment: dict[str, str]
) -> None:
    """A process: makes its env and does what it is asked."""
    _die_with(trainer)
    if dict(os.environ) != environment:  # a fork server has that of when it was started
        os.environ.clear()
        os.environ.update(environment)
    # What a terminal or a scheduler sends to all, Ctrl+C or SIGTERM, is for the trainer to decide.
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    # No SIG_IGN: what an env launches would inherit it.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    np.random.seed()  # a fork has its parent's state, and so that of all the other columns
    env: gym.Env[Any, Any] | None = None
    try:
        try:
            env = factory()
            facts = EnvFacts.of(env)
            boxes(facts.observation_space)
            # Spaces and specs may hold what only cloudpickle knows how to send.
            sendable: Any = CloudpickleWrapper(facts)  # type: ignore[arg-type]
            answer = _packed("ok", sendable, f"{facts.name} has spaces, metadata or a spec")
        except Exception as error:
            connection.send_bytes(_raised(error, column))
            return
        connection.send_bytes(answer)
        _serve(env, facts, connection, column)
    except (EOFError, OSError):  # the trainer has gone
        return
    finally:
        if env is not None:
            env.close()


def _serve(env: gym.Env[Any, Any], facts: EnvFacts, connection: Connection, column: int) -> None:
    fd = recv_handle(connection)
    memory = SharedObservations(facts.observation_space, connection.recv()[1], fd)
    memory.close()
    own = states.follows_contract(env)
    while True:
        verb, data = connection.recv()
        if verb == "close":
            return
        try:
            done = _do(env, own, verb, data, memory, column)
            answer = _packed("ok", done, f"{data[0] if verb == 'call' else verb}() of {facts.name} returned something")
        except Exception as error:
            answer = _raised(error, column)
        connection.send_bytes(answer)


def _do(env: gym.Env[Any, Any], own: bool, verb: str, data: Any, memory: SharedObservations, column: int) -> Any:
    if verb == "reset":
        observation, info = env.reset(seed=data[0], options=data[1])
        memory.write(column, observation)
        return info if own else _renamed(info)
    if verb == "step":
        observation, reward, terminated, truncated, info = env.step(data)
        memory.write(column, observation)
        return float(reward), bool(terminated), bool(truncated), info if own else _renamed(info)
    if verb == "call":
        found = env.get_wrapper_attr(data[0])
        return found(*data[1], **data[2]) if callable(found) else found
    if verb == contract.GET_STATE:
        return states.get_state(env)
    if verb == contract.SET_STATE:
        states.set_state(env, data)
    elif own and env.has_wrapper_attr(verb):  # pause or resume
        env.get_wrapper_attr(verb)()
    return None


def _renamed(info: dict[str, Any]) -> dict[str, Any]:
    """The infos of a stranger to the contract: what it calls by one of its words is passed on as ``env_<word>``.

    But for the action mask, which means the same with everybody.
    """
    words = {word: f"env_{word}" for word in contract.INFOS if word != contract.ACTION_MASK}
    return {words.get(key, key): value for key, value in info.items()}


def _packed(verb: str, data: Any, what: str) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((verb, data)))
    except Exception as error:
        raise TypeError(f"{what} that cannot be sent to another process: {error}") from error


def _raised(error: Exception, column: int) -> bytes:
    error.add_note(f"Raised in the process of column {column}:\n{traceback.format_exc()}")
    try:
        packed = bytes(ForkingPickler.dumps(("raised", error)))
        pickle.loads(packed)
    except Exception:  # its words at least
        return bytes(ForkingPickler.dumps(("raised", RuntimeError(f"{type(error).__name__}: {error}"))))
    return packed


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
