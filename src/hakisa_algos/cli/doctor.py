"""``hakisa doctor``: what is installed, what is missing, and how fast this machine is. Needs no extra itself."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata

from hakisa_algos.cli.doctor_screen import screen
from hakisa_algos.cli.text import bold, dim, green, red
from hakisa_algos.cores import available_cores
from hakisa_algos.errors import MissingExtraError, require

_PROBE_SECONDS = 2.0
_PROBE_ENVS = 8


def run(arguments: Sequence[str]) -> int:
    """Prints what one would ask for first when something does not work."""
    parser = argparse.ArgumentParser("hakisa doctor", description="Show what is installed and how fast it runs.")
    parser.add_argument("--seconds", type=float, default=_PROBE_SECONDS, help="length of the speed probe (default 2)")
    seconds = parser.parse_args(list(arguments)).seconds
    for title, lines in (
        ("machine", _machine()),
        ("packages", _packages()),
        ("extras", _extras()),
        ("torch", _torch()),
        ("tools", _tools()),
        ("live games", screen()),
        ("speed", _speed(seconds)),
    ):
        print(bold(title))
        for name, text in lines:
            print(f"  {name:<22}{text}", flush=True)
    return 0


def _machine() -> Iterator[tuple[str, str]]:
    yield "platform", platform.platform()
    yield "python", f"{platform.python_version()} in {sys.prefix}"
    yield "cores", str(available_cores())


def _packages() -> Iterator[tuple[str, str]]:
    yield "hakisa", metadata.version("hakisa")
    for requirement, extra in _requirements():
        if not extra:
            yield requirement, _version(requirement) or red("missing: pip install --upgrade hakisa")


def _extras() -> Iterator[tuple[str, str]]:
    needs: dict[str, list[str]] = {}
    for requirement, extra in _requirements():
        if extra and extra != "dev" and requirement != "hakisa":
            needs.setdefault(extra, []).append(requirement)
    for extra, names in needs.items():
        missing = [name for name in names if _version(name) is None]
        if missing:
            line = f'pip install "hakisa[{extra}]"'
            yield extra, f"{red('missing')} {', '.join(missing)}: {bold(line)}"
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in names)
            yield extra, f"{green('installed')} {dim(versions)}"


def _requirements() -> Iterator[tuple[str, str | None]]:
    """(distribution, extra or None) of all that hakisa asks for on this platform."""
    for line in metadata.requires("hakisa") or []:
        specifier, _, marker = line.partition(";")
        platforms = re.search(r"sys_platform == ['\"](\w+)['\"]", marker)
        if platforms and platforms[1] != sys.platform:
            continue
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        name = re.match(r"[\w.-]+", specifier.strip())
        if name:
            yield name[0], extra[1] if extra else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _torch() -> Iterator[tuple[str, str]]:
    try:
        torch = require("torch", "algos")
    except MissingExtraError as error:
        yield "torch", f"{red('missing')}: {bold(str(error))}"
        return
    yield "threads", str(torch.get_num_threads())
    yield "CPU computes bfloat16", "yes" if torch.cpu._is_avx512_bf16_supported() else "no: precision auto is fp32"
    if torch.cuda.is_available():
        bf16 = "" if torch.cuda.is_bf16_supported() else ", no bfloat16"
        yield "GPU", f"{torch.cuda.get_device_name()}{bf16}"
    else:
        yield "GPU", "none that torch sees: everything runs on the CPU"


def _tools() -> Iterator[tuple[str, str]]:
    if importlib.util.find_spec("imageio_ffmpeg"):
        import imageio_ffmpeg

        try:
            yield "ffmpeg", str(imageio_ffmpeg.get_ffmpeg_exe())
            return
        except RuntimeError as error:
            yield "ffmpeg", red(str(error))
    line = bold('pip install "hakisa[video]"')
    yield "ffmpeg", shutil.which("ffmpeg") or f"{red('missing')}, for videos: {line}"


def _speed(seconds: float) -> Iterator[tuple[str, str]]:
    import gymnasium as gym

    import hakisa_envs  # noqa: F401 (registers the ids)

    name = "Hakisa/Pong-v0" if _version("ale-py") and _version("opencv-python-headless") else "CartPole-v1"
    envs = gym.make_vec(name, _PROBE_ENVS)
    label = f"{name} x {_PROBE_ENVS}"
    envs.reset(seed=0)
    envs.action_space.seed(0)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds / 2:
        envs.step(envs.action_space.sample())
        steps += envs.num_envs
    yield label, f"{_rate(steps, began)} with random actions"
    envs.close()
    if _has_torch():
        yield label, f"{_policy_rate(name, seconds / 2)} with the default network acting"


def _has_torch() -> bool:
    try:
        require("torch", "algos")
    except MissingExtraError:
        return False
    return True


def _policy_rate(name: str, seconds: float) -> str:
    import torch

    from hakisa_algos.data.collect import Collector, Rows
    from hakisa_algos.data.rollout import RolloutBuffer
    from hakisa_algos.data.vectorize import make_envs
    from hakisa_algos.policy.policy import ActorCritic
    from hakisa_algos.policy.precision import resolve_bf16

    envs = make_envs(name, _PROBE_ENVS)
    space = envs.single_observation_space
    bf16 = resolve_bf16("auto", torch.device("cpu"), space)
    policy = ActorCritic(space, envs.single_action_space, bf16=bf16)
    collector = Collector(envs, policy, RolloutBuffer(1, envs.num_envs, policy.observation, keep_observations=False))
    collector.collect(Rows(1))
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        collector.collect(Rows(1))
        steps += envs.num_envs
    envs.close()
    return _rate(steps, began)


def _rate(steps: int, began: float) -> str:
    return f"{steps / (time.perf_counter() - began):,.0f} steps/s"
