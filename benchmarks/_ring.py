"""How long the ring takes to sample from, and how much memory it takes, by its size."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from _rounds import Worker, spread, timed

ENVS, EPISODE = 8, 1000
_PICTURES = (4, 84, 84)


@dataclass(frozen=True)
class Ring:
    """A full ring of stacked 84 x 84 pictures; ``size`` transitions."""

    size: int

    @property
    def name(self) -> str:
        """In what is printed."""
        return f"{self.size:,} transitions"


class FilledRing:
    """A buffer with its samplers, in a process of its own so that its memory is its own."""

    def __init__(self, ring: Ring) -> None:
        import numpy as np
        import torch
        from gymnasium import spaces

        from hakisa_algos.data.columns import FrameStack
        from hakisa_algos.data.replay import ReplaySampler
        from hakisa_algos.data.rollout import RolloutBuffer
        from hakisa_algos.policy.observations import ObservationLayout

        torch.set_num_threads(1)
        rows, layout = ring.size // ENVS, ObservationLayout(spaces.Box(0, 255, _PICTURES, np.uint8))
        self._rng = np.random.default_rng(0)
        frames = self._rng.integers(0, 256, (64, ENVS, *_PICTURES[1:]), np.uint8)
        before = resident_bytes()
        self._buffer = RolloutBuffer(rows, ENVS, layout, FrameStack(0, 4, "zero"))
        fill(self._buffer, frames, rows)
        self._uniform, self._prioritized = ReplaySampler(rows, ENVS), ReplaySampler(rows, ENVS, 1, 0.6)
        self._prioritized.sample(self._buffer, 1, self._rng)  # admits all rows
        everything = np.arange(ring.size) + self._buffer.oldest * ENVS
        self._prioritized.update_priorities(everything, self._rng.exponential(size=ring.size))
        del everything
        self._memory = {
            "bytes_of_arrays": self._buffer.nbytes / ring.size,
            "bytes_resident": (resident_bytes() - before) / ring.size,
        }

    def memory_per_transition(self) -> dict[str, float]:
        """Bytes: of the buffer's arrays, and by which the process grew, priorities included."""
        return self._memory

    def microseconds(self, batch: int, repeats: int) -> dict[str, float]:
        """Of a sample of ``batch`` transitions, and of giving them priorities."""

        def prioritized() -> None:
            drawn = self._prioritized.sample(self._buffer, batch, self._rng, 0.4)
            self._prioritized.update_priorities(drawn.position.numpy(), self._rng.random(batch))

        def uniform() -> None:
            self._uniform.sample(self._buffer, batch, self._rng)

        return {f.__name__: 1e6 * timed(f, repeats) for f in (uniform, prioritized)}


def fill(buffer: Any, frames: Any, rows: int) -> None:
    """Writes ``rows`` rows in the order of play: stacks that begin with zeros, an end every ``EPISODE`` rows."""
    import numpy as np

    stack = np.zeros((ENVS, *_PICTURES), np.uint8)
    start, nothing = np.ones(ENVS, bool), np.zeros(ENVS, bool)
    action, reward = np.zeros(ENVS, np.int64), np.zeros(ENVS, np.float32)
    for row in range(rows + 1):
        if start.any():
            stack[:] = 0
        stack = np.concatenate([stack[:, 1:], frames[row % len(frames), :, None]], 1)
        buffer.observe(stack, start)
        if row < rows:
            start = np.full(ENVS, row % EPISODE == EPISODE - 1)
            buffer.add(action, reward, start, nothing, ~nothing, 0, {}, {})
    buffer.episodes()


def resident_bytes() -> int:
    """What the process has in memory."""
    import os

    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peer_bytes() -> dict[str, float]:
    """SB3's arrays per transition, as they are by default and with its option to save memory."""
    import numpy as np
    from gymnasium import spaces
    from stable_baselines3.common.buffers import ReplayBuffer

    found = {}
    for name, options in (
        ("sb3", {}),
        ("sb3 optimize_memory_usage", {"optimize_memory_usage": True, "handle_timeout_termination": False}),
    ):
        pictures = spaces.Box(0, 255, _PICTURES, np.uint8)
        peer = ReplayBuffer(1000, pictures, spaces.Discrete(6), n_envs=ENVS, **options)
        arrays = [value for value in vars(peer).values() if isinstance(value, np.ndarray)]
        found[name] = sum(array.nbytes for array in arrays) / (peer.buffer_size * ENVS)
    return found


def ring_figures(sizes: tuple[int, int], rounds: int, batch: int) -> dict[str, Any]:
    """Both sizes in alternating rounds: microseconds, their ratio, and bytes per transition."""
    workers = [Worker(FilledRing, Ring(size)) for size in sizes]
    memory = [worker("memory_per_transition") for worker in workers]  # both are full now, and quiet
    times: list[list[dict[str, float]]] = [[], []]
    for _ in range(10 * rounds):  # short turns, because the ratio is that of two neighbours in time
        for worker, found in zip(workers, times, strict=True):
            found.append(worker("microseconds", batch, 200))
    figures: dict[str, Any] = {"batch": batch, "threads": 1, "bytes_per_transition": {}}
    for worker, found, taken in zip(workers, times, memory, strict=True):
        name = worker.contender.name
        figures[name] = {f"{kind}_us": round(statistics.median(r[kind] for r in found), 1) for kind in found[0]}
        figures["bytes_per_transition"][name] = {kind: round(value, 1) for kind, value in taken.items()}
        worker.close()
    figures["bytes_per_transition"] |= {name: round(value, 1) for name, value in peer_bytes().items()}
    for kind in times[0][0]:
        ratios = [large[kind] / small[kind] for small, large in zip(*times, strict=True)]
        figures[f"{kind}, large over small"] = spread(ratios, 3)
    print(f"ring  {figures}", flush=True)
    return figures
