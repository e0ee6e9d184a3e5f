"""Gymnasium's vector env in processes, whose processes leave signals to the trainer, and whose deaths are named."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState

from hakisa_algos.data.faults import deaths
from hakisa_algos.errors import PoolError

Method = TypeVar("Method", bound=Callable[..., Any])


def _naming_deaths(method: Method) -> Method:
    """``method`` with an error that says which process died, where else there is an EOFError or a broken pipe."""

    @functools.wraps(method)
    def asked(self: ProcessEnvs, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (EOFError, ConnectionError) as error:
            raise PoolError(deaths(self.processes)) from error

    return asked  # type: ignore[return-value]


class ProcessEnvs(AsyncVectorEnv):
    """Single envs, each in a process of its own."""

    def __init__(self, factories: Sequence[Callable[[], gym.Env[Any, Any]]]) -> None:
        workers = [functools.partial(_apart, factory, os.getpid()) for factory in factories]
        super().__init__(workers, autoreset_mode=AutoresetMode.DISABLED)

    reset_async = _naming_deaths(AsyncVectorEnv.reset_async)
    reset_wait = _naming_deaths(AsyncVectorEnv.reset_wait)
    step_async = _naming_deaths(AsyncVectorEnv.step_async)
    step_wait = _naming_deaths(AsyncVectorEnv.step_wait)
    call_async = _naming_deaths(AsyncVectorEnv.call_async)
    call_wait = _naming_deaths(AsyncVectorEnv.call_wait)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """As Gymnasium's; where a process has died, the others are ended without being asked."""
        asked = zip(self.processes, self.parent_pipes, strict=True)
        if any(pipe is not None and not process.is_alive() for process, pipe in asked):
            self._state, terminate = AsyncState.DEFAULT, True
        super().close_extras(timeout, terminate)


def _apart(factory: Callable[[], gym.Env[Any, Any]], trainer: int) -> gym.Env[Any, Any]:
    """Makes an env; in a process of its own signals that are sent to all, as Ctrl+C is, are left to the trainer."""
    if os.getpid() != trainer:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(os, "setpgid"):
            os.setpgid(0, 0)
    return factory()
