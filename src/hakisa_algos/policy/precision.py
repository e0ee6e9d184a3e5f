"""Where a network runs, in which precision, and what the process does for it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError, did_you_mean
from hakisa_algos.machine import available_cores
from hakisa_algos.policy.observations import is_picture

Precision = Literal["auto", "fp32", "bf16"]

# malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def resolve_device(device: str, observation_space: spaces.Space[Any]) -> torch.device:
    """``"auto"``: a GPU for pictures when there is one, else the CPU, where small networks are faster.

    Raises:
        ConfigError: a device that torch does not know, or that is not there.
    """
    if device != "auto":
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise ConfigError(f"device={device!r} is unknown; it is auto, cpu, cuda, cuda:1, ...") from error
        try:
            torch.empty(0, device=chosen)
        except (AssertionError, NotImplementedError, RuntimeError) as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise ConfigError(f"device={device!r} is not to be had here ({why}); use auto or cpu") from error
        return chosen
    return torch.device("cuda" if torch.cuda.is_available() and has_pictures(observation_space) else "cpu")


def make_repeatable(device: torch.device) -> None:
    """On a GPU, for the whole process: the same numbers every time, of cuDNN's convolutions too.

    Without it some add up in an order that varies, and the same seed trains another network.
    """
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True


def resolve_bf16(precision: str, device: torch.device, observation_space: spaces.Space[Any]) -> bool:
    """Whether to run the network in bfloat16: ``"auto"`` where the hardware computes in it and pictures make it pay.

    Raises:
        ConfigError: an unknown precision.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"precision={precision!r} is unknown.{did_you_mean(precision, ['auto', 'fp32', 'bf16'])}")
    if precision != "auto":
        return precision == "bf16"
    if not has_pictures(observation_space):
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())


def compute_dtype(device: torch.device) -> torch.dtype:
    """What the network computes in just now: autocast's type where it is on, else float32."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


def weights_cast_once(device: torch.device) -> AbstractContextManager[Any]:
    """While entered, and weights do not change, networks that act without gradients cast them to bfloat16 once.

    Autocast forgets what it has cast when the outermost one of a thread ends; this one does nothing else.
    """
    return torch.autocast(device.type, enabled=False)


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed for the next tensor, instead of handing it to the kernel.

    A training step on pictures frees and takes the same hundred MB again and again, and fresh memory costs page faults.
    It holds for the whole process. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc takes
        mallopt(_TRIM_THRESHOLD, 2**30)


def resolve_threads(threads: int | None, observation_space: spaces.Space[Any]) -> int:
    """How many threads torch should use: ``threads``, or all cores for pictures and one for the rest.

    A small network's layers are done before a second thread has woken up.

    Raises:
        ConfigError: not a whole number of at least 1.
    """
    if threads is not None:
        if type(threads) is not int or threads < 1:
            raise ConfigError(f"threads={threads!r} must be a whole number of at least 1, or None to choose")
        return threads
    if not has_pictures(observation_space):
        return 1
    return available_cores()


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """While entered, torch uses so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_pictures(space: spaces.Space[Any]) -> bool:
    """Whether ``space`` is, or holds, pictures."""
    if isinstance(space, spaces.Dict):
        return any(has_pictures(entry) for entry in space.values())
    return isinstance(space, spaces.Box) and is_picture(space)
