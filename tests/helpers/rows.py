"""Random play into a buffer, with all that it must give back written down beside it."""

import numpy as np
import torch
from gymnasium import spaces

from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.dataset import open_rows, write_rows
from hakisa_algos.data.replay import ReplaySampler
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.observations import ObservationLayout, pick

VECTOR = spaces.Box(-np.inf, np.inf, (3,), np.float32)
FRAMES = spaces.Box(0, 255, (4, 5, 6), np.uint8)
KEYED = spaces.Dict({"a": VECTOR, "picture": spaces.Box(0, 255, (3, 8, 8), np.uint8)})
STACK = FrameStack(0, 4, "zero")
# Space and stack by name.
KINDS = {
    "vectors": (VECTOR, None),
    "dict": (KEYED, None),
    "frames": (FRAMES, STACK),
    "frames padded": (FRAMES, FrameStack(0, 4, "reset")),
}


def buffer_of(kind, capacity, num_envs):
    space, stack = KINDS[kind]
    buffer = RolloutBuffer(capacity, num_envs, ObservationLayout(space), stack)
    buffer.action_space = spaces.MultiDiscrete([5, 5])
    return buffer


class Play:
    """Random rows; the reward of each names it: ``label + row * num_envs + env``."""

    def __init__(self, kind, num_envs, seed=0, label=0):
        self.space, self.stack = KINDS[kind]
        self.n, self.label = num_envs, label
        self.rng = np.random.default_rng(seed)
        self.rows = []
        self.over = np.ones(num_envs, bool)
        self.frames = [None] * num_envs

    def whole(self, space, n):
        if isinstance(space, spaces.Dict):
            return {key: self.whole(box, n) for key, box in space.items()}
        return self.rng.integers(1, 200, (n, *space.shape)).astype(space.dtype)

    def observe(self):
        if self.stack is None:
            return self.whole(self.space, self.n)
        for env in range(self.n):
            frame = self.rng.integers(1, 255, (1, *self.space.shape[1:])).astype(np.uint8)
            first = frame if self.stack.padding == "reset" else np.zeros_like(frame)
            old = [first] * 3 if self.over[env] else self.frames[env][1:]
            self.frames[env] = [*old, frame]
        return np.stack([np.concatenate(f) for f in self.frames])

    def begin(self, buffer):
        self.seen = self.observe()
        buffer.observe(self.seen, self.over)
        return self

    def play(self, buffer, rows):
        for _ in range(rows):
            over = self.rng.random(self.n) < 0.2
            terminated = over & (self.rng.random(self.n) < 0.5)
            transition = self.rng.random(self.n) < 0.9
            number = buffer.rows
            row = {
                "number": number,
                "observation": self.seen,
                "action": self.rng.integers(5, size=(self.n, 2)),
                "reward": (self.label + number * self.n + np.arange(self.n)).astype(np.float32),
                "terminated": terminated,
                "truncated": over & ~terminated,
                "transition": transition,
                "learned": transition & (self.rng.random(self.n) < 0.9),
                "policy_version": np.full(self.n, number // 3, np.int32),
                "log_prob": self.rng.normal(size=self.n),
            }
            final = {int(env): pick(self.whole(self.space, 1), 0) for env in np.flatnonzero(row["truncated"])}
            buffer.add({k: v for k, v in row.items() if k not in ("number", "observation")}, final)
            self.over = over
            self.seen = self.observe()
            buffer.observe(self.seen, over)
            self.rows.append(row | {"final": final, "after": self.seen})
        return self


def same(a, b):
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    return np.array_equal(np.asarray(a), np.asarray(b))


def check(source, plays, readable, n_step=3):
    """All that can be drawn from ``source`` is what was played, and it is all of ``readable``: rows of each play."""
    position = np.arange(source.oldest * source.num_envs, source.steps)
    position = position[source.take("learned", position)]
    sampler = ReplaySampler(source.capacity, source.num_envs, n_step)
    drawn = sampler._transitions(source, position, np.ones(len(position), np.float32))
    rows = {}  # by what their reward names: the row, its env, and the rows of the same play that follow it
    for play, numbers in zip(plays, readable, strict=True):
        kept = [row for row in play.rows if row["number"] in numbers]
        for i, row in enumerate(kept):
            rows |= {float(row["reward"][env]): (row, env, kept[i:]) for env in range(play.n)}
    found = set()
    for i in range(len(position)):
        row, env, following = rows[float(drawn.reward[i, 0])]
        found.add(float(drawn.reward[i, 0]))
        assert row["learned"][env]
        assert same(pick(drawn.observation, i), pick(row["observation"], env))
        assert same(drawn.action[i], row["action"][env])
        for name in ("policy_version", "log_prob"):
            assert source.take(name, position[i : i + 1])[0] == row[name][env]
        steps = 1
        last = row
        for later in following[1:n_step]:
            if last["terminated"][env] or last["truncated"][env] or not later["transition"][env]:
                break
            steps, last = steps + 1, later
        assert int(drawn.steps[i]) == steps
        assert drawn.reward[i, :steps].tolist() == [float(r["reward"][env]) for r in following[:steps]]
        assert bool(drawn.terminated[i]) == bool(last["terminated"][env])
        after = last["final"][env] if last["truncated"][env] else pick(last["after"], env)
        assert same(pick(drawn.next_observation, i), after)
    assert found == {name for name, (row, env, _) in rows.items() if row["learned"][env]}


def carry_over(saved, loaded, folder, rows):
    """Restores ``loaded`` as a checkpoint with so many rows of ``saved`` would."""
    if rows and saved.rows > saved.oldest:
        write_rows(folder, saved, rows)
        return loaded.restore(saved.state(), open_rows(folder))
    return loaded.restore(saved.state())


def same_rows(a, b, length):
    """Two buffers hold the same newest rows."""
    one, two = a.rollout(length), b.rollout(length)
    for name in a._arrays:
        np.testing.assert_array_equal(one.column(name), two.column(name), err_msg=name)
    if a._observations:
        everything = torch.arange(length * a.num_envs)
        assert same(one.observation(everything), two.observation(everything))
        assert same(one.next_observation(), two.next_observation())
    finals = one.final_observations(), two.final_observations()
    assert (finals[0] is None) == (finals[1] is None)
    assert finals[0] is None or same(*finals)
