"""Recordings on the disk: what is written is what is read, replayed and refused, and a kill loses next to nothing."""

import json
import mmap
import os
import random
import signal
import struct
import time

import gymnasium as gym
import numpy as np
import pytest

import hakisa_envs  # noqa: F401 (it registers Hakisa/Replay-v0)
from hakisa_algos.data import dataset, stored
from hakisa_algos.data.dataset import open_rows
from hakisa_algos.data.packing import pack, unpack
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.stages.recording import RecordedRows, Recording
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_envs.recording.events import Event
from hakisa_envs.spaces import ConditionalMultiDiscrete

STACK, SIZE = 2, 24
SEEN = gym.spaces.Box(0, 255, (STACK, SIZE, SIZE), np.uint8)
DONE = ConditionalMultiDiscrete([2, 3, 1], [[0, 0], [3, 0]])
LENGTHS = (6, 9, 4)
FACTS = {
    "name": "made up",
    "env": "Hakisa/ScreenGame-v0",
    "env_options": {},
    "rate": 30.0,
    "idle": 0,
    "commands": ["noop", "tap"],
}


def frames(rng, length):
    """Stacks of an episode: a square that moves over noise that stands still."""
    ground = rng.integers(0, 255, (SIZE, SIZE), dtype=np.uint8)
    stack = np.zeros((STACK, SIZE, SIZE), np.uint8)
    for i in range(length + 1):
        newest = ground.copy()
        newest[i : i + 3, 3:6] = 200
        stack = np.stack([*stack[1:], newest])
        yield stack


def write(folder, lengths=LENGTHS, seed=0, cut=()):
    """A recording, and all that was put into it."""
    rng, put = np.random.default_rng(seed), []
    writer = RecordingWriter(folder, SEEN, DONE, (0, STACK, "zero"))
    writer.describe(FACTS)
    t = 0
    for number, length in enumerate(lengths):
        stacks = list(frames(rng, length))
        for i in range(length):
            t += 33_000_000
            last = i == length - 1
            action = DONE.canonical(rng.integers(0, [2, 3, 1]))
            values = {
                "reward": np.float32(rng.normal()),
                "terminated": last and number not in cut,
                "truncated": last and number in cut,
                "t_ns": t,
                "learned": bool(i % 4),
                "keep.score": rng.integers(0, 255, (4, 90, 3), dtype=np.uint8),
            }
            put.append((stacks[i], action, values, stacks[i + 1]))
            writer.add(stacks[i], action, values, start=i == 0, following=stacks[i + 1], final=values["truncated"])
            writer.log([Event(t, "press", "a")])
        t += 33_000_000
        writer.end(stacks[-1], {"t_ns": t, "keep.score": np.zeros((4, 90, 3), np.uint8)})
    writer.close()
    return put


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings") / "one"
    return folder, write(folder, cut=(1,))


def test_a_row_is_as_it_was_put_there(written):
    folder, put = written
    recording = Recording.open(folder)
    transitions = np.flatnonzero(recording.column("transition"))
    assert len(transitions) == len(put) == sum(LENGTHS)
    assert [e.stop - e.start for e in recording.episodes] == [n + 1 for n in LENGTHS]
    for row, (seen, action, values, _) in zip(transitions, put, strict=True):
        assert (recording.rows.observation(np.array([row]))[0].numpy() == seen).all()
        assert (recording.column("action")[row] == action).all()
        for name, value in values.items():
            assert (recording.column(name)[row] == value).all()
    assert recording.observation_space == SEEN
    assert recording.action_space == DONE
    assert len(recording.events) == len(put)


def test_it_opens_as_a_view_beside_other_datasets(written, tmp_path):
    folder, put = written
    write(tmp_path / "two", seed=1)
    rows = open_rows(folder, tmp_path / "two")
    assert int(rows.take("learned", np.arange(rows.rows)).sum()) == 2 * sum(int(v["learned"]) for _, _, v, _ in put)
    assert not {"age", "action"} - set(rows.layout["columns"])


def test_the_replay_env_gives_the_recorded_rows_exactly(written):
    folder, put = written
    env = gym.make("Hakisa/Replay-v0", recording=str(folder), disable_env_checker=True)
    at = iter(put)
    for number, length in enumerate(LENGTHS):
        seen, info = env.reset()
        for i in range(length):
            before, action, values, after = next(at)
            assert (seen == before).all()
            seen, reward, terminated, truncated, info = env.step(env.action_space.sample())
            assert (info["action"] == action).all()
            assert (info["t_ns"], info["learned"], info["transition"]) == (values["t_ns"], values["learned"], True)
            assert reward == pytest.approx(float(values["reward"]))
            assert (terminated, truncated) == ((i == length - 1) and number != 1, (i == length - 1) and number == 1)
            assert (seen == after).all()
        with pytest.raises(gym.error.ResetNeeded):
            env.step(0)
    first, _ = env.reset()
    assert (first == put[0][0]).all()
    assert (env.reset(options={"episode": 2})[0] == put[LENGTHS[0] + LENGTHS[1]][0]).all()


def test_nobody_else_may_read_it(tmp_path):
    before = os.umask(0o077)
    try:
        write(tmp_path / "one", lengths=(3,))
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "one").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700


def test_marks_and_bad_episodes_are_columns(tmp_path):
    put = write(tmp_path / "one")
    with open(tmp_path / "one" / "events.jsonl", "a") as file:
        file.write(json.dumps(Event(put[LENGTHS[0] + 2][2]["t_ns"] + 5, "bad").to_json()) + "\n")
    recording = Recording.open(tmp_path / "one")
    recording.mark(dropped=[(0, 2)], held_out=[(17, 22)])
    write(tmp_path / "two", lengths=(5,), seed=3)
    rows = RecordedRows([recording, Recording.open(tmp_path / "two")])
    position = np.arange(rows.rows)
    second = LENGTHS[0] + 1
    assert np.flatnonzero(rows.take("dropped", position)).tolist() == [0, 1, *range(second, second + LENGTHS[1] + 1)]
    assert np.flatnonzero(rows.take("held_out", position)).tolist() == list(range(17, 22))


def test_a_folder_is_not_written_over(written):
    with pytest.raises(ConfigError, match="exists"):
        RecordingWriter(written[0], SEEN, DONE, None)


def test_of_a_recording_without_a_row_nothing_is_left(tmp_path):
    RecordingWriter(tmp_path / "one", SEEN, DONE, None).close()
    writer = RecordingWriter(tmp_path / "two", SEEN, DONE, None)
    writer.describe(FACTS)
    with pytest.raises(CheckpointError, match="two has no rows: it was ended by force in its first second"):
        Recording.open(tmp_path / "two")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def change(path, find=None, put=b"", at=None, cut=None):
    data = path.read_bytes()
    if cut is not None:
        data = data[:cut]
    elif at is not None:
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    else:
        assert find in data
        data = data.replace(find, put, 1)
    path.write_bytes(data)


def newest(folder):
    return max(folder.glob("rows_*"), key=lambda path: path.stat().st_size)


def rewritten(folder, name, **changes):
    """A document that somebody has changed, with a checksum that holds."""
    from hakisa_algos.data.files import write_document

    said = json.loads((folder / name).read_text())
    kind, version = said.pop("format"), said.pop("version")
    said.pop("sha256")
    write_document(folder / name, changes.pop("format", kind), changes.pop("version", version), said | changes)


def outside(folder):
    (folder.parent / "secret").write_bytes(newest(folder).read_bytes())
    said = json.loads((folder / "index.json").read_text())["series"]
    said[0]["segments"][0]["file"] = "../secret"
    rewritten(folder, "index.json", series=said)


def bomb(folder):
    """A segment whose packed pictures say that they are a terabyte."""
    import hashlib

    path = newest(folder)
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    said = json.loads(header["__metadata__"]["hakisa"])
    said["packed"] = {name: [1 << 20, 1 << 20] for name in said["packed"]}
    header["__metadata__"]["hakisa"] = json.dumps(said)
    words = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(words)) + words + data[8 + size :])
    listed = json.loads((folder / "index.json").read_text())["series"]
    for segment in listed[0]["segments"]:
        if segment["file"] == path.name:
            segment |= {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    rewritten(folder, "index.json", series=listed)


DAMAGE = {
    "facts cut short": (lambda f: change(f / "recording.json", cut=100), "recording.json"),
    "facts changed": (lambda f: change(f / "recording.json", b"made up", b"made by"), "recording.json"),
    "foreign": (lambda f: rewritten(f, "recording.json", format="other"), "other"),
    "newer": (lambda f: rewritten(f, "recording.json", version=9), "upgrade"),
    "an unknown space": (
        lambda f: rewritten(f, "recording.json", spaces={"observation": {"type": "os.system"}}),
        "recording.json",
    ),
    "an index changed": (lambda f: change(f / "index.json", b'"first": 0', b'"first": 1'), "index.json"),
    "no index": (lambda f: (f / "index.json").unlink(), "index.json"),
    "rows cut short": (lambda f: change(newest(f), cut=300), "rows_"),
    "rows altered by a bit": (lambda f: change(newest(f), at=newest(f).stat().st_size - 40), "rows_"),
    "rows gone": (lambda f: newest(f).unlink(), "rows_"),
    "rows from outside": (outside, "outside"),
    "pictures without end": (bomb, "rows_"),
    "an event that is none": (lambda f: change(f / "events.jsonl", b'"press"', b'"exec!"'), "events.jsonl, line 2"),
    "newer events": (lambda f: change(f / "events.jsonl", b'"version": 1', b'"version": 7'), "upgrade"),
    "no events": (lambda f: (f / "events.jsonl").unlink(), "events.jsonl"),
    "nothing there": (lambda f: [path.unlink() for path in f.iterdir()], "recording.json"),
}


def read_all(folder):
    recording = Recording.open(folder)
    return recording.events, recording.column("action")


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_foreign_newer_or_malicious_is_named_and_refused(tmp_path, kind):
    write(tmp_path / "one", lengths=(5,))
    damage, named = DAMAGE[kind]
    damage(tmp_path / "one")
    with pytest.raises(CheckpointError, match=named):
        read_all(tmp_path / "one")


def test_an_event_that_was_cut_short_by_a_kill_is_left_out(tmp_path):
    put = write(tmp_path / "one", lengths=(5,))
    path = tmp_path / "one" / "events.jsonl"
    change(path, cut=path.stat().st_size - 7)
    assert len(Recording.open(tmp_path / "one").events) == len(put) - 1


def test_packed_rows_come_back_and_take_little_space():
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 255, (1, 40, 40), dtype=np.uint8), 50, 0)
    for array in (still, rng.integers(0, 255, (7, 300), dtype=np.uint8), np.zeros((1, 256), np.uint8)):
        assert (unpack(pack(array), array.shape) == array).all()
    assert len(pack(still)) < still.nbytes / 20
    for shape in ((50, 40, 41), (50, 40, 39), (0, 4), (1 << 40, 1 << 40), ("x",), ()):
        with pytest.raises(ValueError, match=r"packed rows|invalid literal"):
            unpack(pack(still), shape)


def test_what_nobody_asks_for_stays_packed(tmp_path, monkeypatch):
    unpacked = []
    monkeypatch.setattr(
        "hakisa_algos.data.segments.unpack", lambda packed, shape: unpacked.append(shape) or unpack(packed, shape)
    )
    writer = RecordingWriter(tmp_path / "one", SEEN, DONE, (0, STACK, "zero"))
    writer.describe(FACTS)
    stacks = list(frames(np.random.default_rng(0), 4))
    for i in range(4):
        values = {"t_ns": i, "keep.field": np.full((40, 50, 3), i, np.uint8)}
        writer.add(stacks[i], np.zeros(3, np.int64), values, start=i == 0, following=stacks[i + 1])
    writer.end(stacks[-1], {"t_ns": 4, "keep.field": np.zeros((40, 50, 3), np.uint8)})
    writer.close()
    recording = Recording.open(tmp_path / "one")
    assert recording.column("t_ns").tolist() == [0, 1, 2, 3, 4]
    recording.rows.observation(recording.position)
    assert not [shape for shape in unpacked if list(shape[2:]) == [40, 50, 3]]
    assert recording.column("keep.field")[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize("limit", ["_MOST_OPEN", "_MOST_BYTES"])
def test_a_long_recording_holds_no_more_of_its_pictures_than_it_may(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(dataset, "_SEGMENT_BYTES", 600)
    writer = RecordingWriter(tmp_path / "one", SEEN, DONE, (0, STACK, "zero"))
    writer.describe(FACTS)
    stacks = list(frames(np.random.default_rng(0), 12))
    for i in range(12):
        writer.add(stacks[i], np.zeros(3, np.int64), {"t_ns": i}, start=i == 0, following=stacks[i + 1])
        writer.flush()
    writer.end(stacks[-1], {"t_ns": 12})
    writer.close()
    monkeypatch.setattr(stored, limit, {"_MOST_OPEN": 3, "_MOST_BYTES": 6 * SIZE**2}[limit])
    recording = Recording.open(tmp_path / "one")
    assert len(recording.rows.series[0].segments) > 5
    for order in (np.arange(13), np.random.default_rng(1).permutation(13)):
        read = recording.rows.observation(recording.position[order])
        assert np.array_equal(read.numpy(), np.stack(stacks)[order])
        assert 1 <= len(recording.rows._opened) <= 3


def play_until_killed(folder, told, stacks):
    """Writes rows at 50 a second, and says of each when it was put there, and how many lie on the disk."""
    writer = RecordingWriter(folder, SEEN, DONE, (0, STACK, "zero"))
    writer.describe(FACTS)
    row, late = 0, 0.0
    begin = time.monotonic()
    while True:
        for i in range(40):
            due = begin + row * 0.02
            time.sleep(max(0.0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            writer.log([Event(row, "press", "a")])
            values = {"t_ns": row, "terminated": i == 39}
            writer.add(stacks[i], np.zeros(3, np.int64), values, start=i == 0, following=stacks[i + 1])
            row += 1
            written = writer._buffer.segments.get(folder, ())
            struct.pack_into("d", told, 24 + 8 * row, time.monotonic())
            struct.pack_into("qqd", told, 0, row, written[-1].end if written else 0, late)
        writer.end(stacks[-1], {"t_ns": row})


def certain_rows(told, now):
    """How many rows must be there of a recording that is killed now.

    A machine that is late with everything is late with this, too.
    """
    rows, _, late = struct.unpack_from("qqd", told, 0)
    put = [struct.unpack_from("d", told, 24 + 8 * row)[0] for row in range(1, rows + 1)]
    return sum(t < now - 1.0 - 10 * late for t in put)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks, and the children have no threads
@pytest.mark.parametrize("later", [True, False], ids=["later", "within the first second"])
def test_after_a_kill_at_any_moment_it_opens_and_at_most_a_second_is_missing(later, tmp_path):
    rng, stacks = random.Random(0), list(frames(np.random.default_rng(0), 40))
    opened = 0
    for wave in range(5 if later else 1):
        children, ended = [], []
        for number in range(10):  # more of them would be late by each other
            told = mmap.mmap(-1, 1 << 16)
            folder = tmp_path / f"{wave}-{number}"
            pid = os.fork()
            if pid == 0:
                try:
                    play_until_killed(folder, told, stacks)
                finally:
                    os._exit(1)
            children.append((rng.randrange(1, 90 if later else 45), pid, folder, told))
        until = time.monotonic() + 600
        while children:
            for child in list(children):
                rows, pid, folder, told = child
                # At any moment from the first on at which a row must be there.
                reached = certain_rows(told, time.monotonic()) if later else struct.unpack_from("q", told, 0)[0]
                if reached >= rows or time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                    ended.append((time.monotonic(), folder, told))
                    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
                    children.remove(child)
            time.sleep(0.003)
        for killed, folder, told in ended:  # when none is left that would go on if this fails
            put, written, _ = struct.unpack_from("qqd", told, 0)
            certain = certain_rows(told, killed)
            if not (folder / "index.json").exists():
                assert max(certain, written) == 0
                with pytest.raises(CheckpointError, match="it was ended by force in its first second"):
                    Recording.open(folder)
                continue
            recording = Recording.open(folder)
            found = recording.column("t_ns")[recording.column("transition")]
            assert found.tolist() == list(range(len(found)))
            whole = len(found) + int((~recording.column("transition")).sum())
            assert len(found) >= certain
            assert whole >= written
            pressed = [event.t_ns for event in recording.events]
            assert pressed == list(range(len(pressed)))
            assert len(pressed) >= put  # of events, nothing is missing
            opened += 1
    assert opened == 50 or not later


def test_a_disk_that_is_slower_than_the_play_loses_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr("hakisa_algos.stages.recording_writer._ROWS", 6)
    monkeypatch.setattr("hakisa_algos.stages.recording_writer.FLUSH_S", 1e9)
    put = write(tmp_path / "one", lengths=(25,))
    recording = Recording.open(tmp_path / "one")
    assert recording.column("t_ns")[:-1].tolist() == [values["t_ns"] for _, _, values, _ in put]


def test_final_pictures_with_channels_last_are_written_too(tmp_path):
    space = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
    writer = RecordingWriter(tmp_path / "one", space, gym.spaces.Discrete(2), None)
    writer.describe(FACTS)
    rng = np.random.default_rng(0)
    seen, after = rng.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    writer.add(seen, np.int64(1), {"truncated": True, "t_ns": 0}, start=True, following=after, final=True)
    writer.end(after, {"t_ns": 1})
    writer.close()
    rows = Recording.open(tmp_path / "one").rows
    assert (rows.final_observation(0) == after.transpose(2, 0, 1)).all()
