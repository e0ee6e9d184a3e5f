"""Rows on the disk come back as they were played, and what is not what was written is named and refused."""

import json
import os

import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium import spaces
from safetensors import safe_open

from hakisa_algos.data import dataset, files, stored
from hakisa_algos.data.dataset import open_rows, write_rows
from hakisa_algos.data.files import write_document
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.data.segments import describe
from hakisa_algos.errors import CheckpointError
from hakisa_algos.policy.observations import ObservationLayout
from tests.helpers.rows import KINDS, Play, buffer_of, check


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    monkeypatch.setattr(dataset, "_SEGMENT_BYTES", 600)  # a few rows each


def written(folder, kind="frames", rows=20, num_envs=2, seed=0, label=0, capacity=30):
    buffer = buffer_of(kind, capacity, num_envs)
    play = Play(kind, num_envs, seed, label).begin(buffer).play(buffer, rows)
    write_rows(folder, buffer)
    return buffer, play


@pytest.mark.parametrize("n_step", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_back_as_they_were_played_however_often_and_wherever_they_were_cut(tmp_path, kind, n_step):
    buffer = buffer_of(kind, 12, 3)
    play = Play(kind, 3).begin(buffer)
    for rows in (1, 7, 2, 11, 11):  # the ring of 12 goes round
        play.play(buffer, rows)
        before = {path: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
        write_rows(tmp_path, buffer)
        assert all(path.read_bytes() == content for path, content in before.items())
        view = open_rows(tmp_path)
        check(view, [play], [range(buffer.rows)], n_step)
    assert len(view.series) == 1
    assert len(view.series[0].segments) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_newest_rows_and_stacks_that_are_whole(tmp_path, kind):
    buffer = buffer_of(kind, 12, 3)
    play = Play(kind, 3).begin(buffer).play(buffer, 30)
    write_rows(tmp_path, buffer, rows=5)
    view = open_rows(tmp_path)
    stored = range(view.series[0].first, 30)
    assert len(stored) == 5 + buffer.history
    if not buffer.history:
        check(view, [play], [stored])
        return
    # Of the rows before them young stacks are whole; others are not, and never drawn.
    position = np.flatnonzero(view.take("learned", np.arange(view.rows)))
    drawn = view.take("reward", position).astype(int).tolist()
    assert {r * 3 + e for r in range(25, 30) for e in range(3) if play.rows[r]["learned"][e]} <= set(drawn)
    for at, name in zip(position, drawn, strict=True):
        row, env = divmod(name, 3)
        assert np.array_equal(view.observation(np.array([at]))[0], play.rows[row]["observation"][env])


@pytest.mark.parametrize("kind", KINDS)
def test_more_files_than_can_be_mapped_at_a_time_read_alike(tmp_path, kind, monkeypatch):
    _, play = written(tmp_path, kind)
    monkeypatch.setattr(stored, "_MOST_OPEN", 2)
    view = open_rows(tmp_path)
    assert len(view.series[0].segments) > 2
    check(view, [play], [range(20)])
    assert len(view._opened) == 2


def test_folders_of_any_number_of_columns_are_one_view(tmp_path):
    _, first = written(tmp_path / "a", num_envs=1, label=10_000, rows=17)
    _, second = written(tmp_path / "b", num_envs=4, seed=1, label=20_000, rows=9)
    other = buffer_of("frames", 30, 2)  # a second recording in the same folder
    third = Play("frames", 2, 2, 30_000).begin(other).play(other, 6)
    write_rows(tmp_path / "b", other)
    check(open_rows(tmp_path / "a", tmp_path / "b"), [first, second, third], [range(17), range(9), range(6)])


def test_rows_that_were_missed_begin_a_series_of_their_own(tmp_path):
    buffer, play = written(tmp_path, rows=5, capacity=6)
    play.play(buffer, 20)
    write_rows(tmp_path, buffer)
    view = open_rows(tmp_path)
    assert [(s.first, s.end) for s in view.series] == [(0, 5), (25 - 6 - 3, 25)]


def test_an_episode_that_is_closed_after_it_was_written_is_closed_in_the_view(tmp_path):
    buffer, play = written(tmp_path, "dict", rows=8)
    last = play.rows[-1]
    running = ~(last["terminated"] | last["truncated"])
    assert running.any()
    buffer.close_episodes(play.seen)
    last["truncated"] = last["truncated"] | running
    last["final"] |= {int(e): {k: v[e] for k, v in play.seen.items()} for e in np.flatnonzero(running)}
    play.over[:] = True
    last["after"] = play.begin(buffer).seen
    play.play(buffer, 3)
    write_rows(tmp_path, buffer)
    check(open_rows(tmp_path), [play], [range(11)])


def test_a_relabelled_view(tmp_path):
    written(tmp_path)
    view = open_rows(tmp_path)
    view.relabel = lambda source, position: source.take("policy_version", position) * 2.0
    position = np.arange(6).reshape(2, 3)
    assert view.rewards(position).dtype == np.float32
    assert np.array_equal(view.rewards(position), 2 * view.take("policy_version", position))


@pytest.mark.parametrize("large", [False, True])
def test_nothing_is_read_until_it_is_asked_for_and_large_files_only_once(tmp_path, monkeypatch, large):
    if large:
        monkeypatch.setattr(stored, "_SMALL_FILE", 0)
    written(tmp_path, "dict")
    read = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path) or real(path))
    view = open_rows(tmp_path)
    assert read == []
    view.observation(np.array([0]))
    opened = len(read)
    assert 0 < opened <= 2
    for name in ("reward", "action", "reward"):
        view.take(name, np.arange(view.rows))
    assert len(read) == len(view.series[0].segments) > 3
    for _ in range(2):
        view.observation(np.arange(view.rows))
    assert len(read) == (1 if large else 2) * len(view.series[0].segments) - (0 if large else opened)


def test_a_segment_is_a_plain_safetensors_file_that_says_what_it_is(tmp_path):
    written(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    with safe_open(path, "np") as file:
        said = json.loads(file.metadata()["hakisa"])
        assert len(file.get_tensor("observation")) == said["rows"] + 1
    assert said["format"] == "hakisa-rows"
    assert (said["first"], said["num_envs"], said["stack"]) == (0, 2, [0, 4, "zero"])
    assert said["observation"] == describe(KINDS["frames"][0])
    assert said["columns"]["action"] == ["int64", [2]]
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize(
    ("space", "other"),
    [
        (spaces.Box(0, 1, (2,)), spaces.Box(0, 2, (2,))),
        (spaces.Box(0, 1, (2,)), spaces.Box(0, 1, (2, 1))),
        (spaces.Box(0, np.inf, (2,)), spaces.Box(-np.inf, np.inf, (2,))),
        (spaces.Box(np.array([0, 0.5]), 1, dtype=np.float64), spaces.Box(np.array([0, 0.25]), 1, dtype=np.float64)),
        (spaces.Discrete(3), spaces.Discrete(4)),
        (spaces.Discrete(3), spaces.Discrete(3, start=1)),
        (spaces.MultiDiscrete([2, 3]), spaces.MultiDiscrete([3, 2])),
        (spaces.MultiBinary(3), spaces.MultiBinary(4)),
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Dict({"b": spaces.Discrete(2)})),
    ],
)
def test_spaces_that_differ_are_described_differently(space, other):
    assert describe(space) == json.loads(json.dumps(describe(space), allow_nan=False))
    assert describe(space) != describe(other)


def everything(view):
    position = np.arange(view.rows)
    for name in view.layout["columns"]:
        view.take(name, position)
    view.observation(position)


def test_any_flipped_bit_is_found_and_the_file_named(tmp_path):
    written(tmp_path, rows=8)
    everything(open_rows(tmp_path))
    for path in [*sorted(tmp_path.glob("*.safetensors"))[:2], tmp_path / "index.json"]:
        whole = path.read_bytes()
        for position in {*range(0, 600, 37), *range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1}:
            damaged = bytearray(whole)
            damaged[position % len(whole)] ^= 0x10
            path.write_bytes(damaged)
            try:
                everything(open_rows(tmp_path))
            except CheckpointError as error:
                assert path.name in str(error)  # noqa: PT017 (white space in the index may flip without harm)
            else:
                assert path.name == "index.json"
        path.write_bytes(whole)
    everything(open_rows(tmp_path))


def test_a_truncated_or_missing_segment_is_named_before_anything_is_read(tmp_path):
    written(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[1]
    whole = path.read_bytes()
    for found in (whole[:-1], b""):
        path.write_bytes(found)
        with pytest.raises(CheckpointError, match=rf"{path.name} has {len(found)} bytes.*cut short.*backup"):
            open_rows(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"{path.name} is missing"):
        open_rows(tmp_path)


def replaced(path, **changes):
    """A segment with another header, of the same size, as someone could put it there."""
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["hakisa"]) | changes
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {"hakisa": json.dumps(said)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, r"version 2.*up to 1.*pip install -U hakisa"),
        ({"format": "other-rows"}, "format 'other-rows'"),
        ({"num_envs": 3}, "SHA-256"),
        ({"version": 0}, "version 0"),
    ],
)
def test_a_foreign_or_newer_segment_in_place_of_another(tmp_path, changes, says):
    written(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    size = path.stat().st_size
    replaced(path, **changes)
    if path.stat().st_size != size:
        says = "bytes"  # which is found first
    with pytest.raises(CheckpointError, match=rf"{path.name}.*{says}"):
        everything(open_rows(tmp_path))


def test_something_else_in_place_of_a_segment(tmp_path):
    written(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    for content in (
        bytes(path.stat().st_size),
        safetensors.torch.save({"a": torch.zeros(3)}).ljust(path.stat().st_size),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"{path.name} is not a segment"):
            everything(open_rows(tmp_path))


@pytest.mark.parametrize(("kind", "says"), [("vectors", "observation"), ("frames padded", "stack")])
def test_folders_of_other_spaces_or_stacks_are_refused(tmp_path, kind, says):
    written(tmp_path / "a")
    written(tmp_path / "b", kind)
    with pytest.raises(CheckpointError, match=rf"b.*holds rows of {says}.*needed is"):
        open_rows(tmp_path / "a", tmp_path / "b")
    with pytest.raises(CheckpointError, match=rf"holds rows of {says}|needed is"):
        write_rows(tmp_path / "a", buffer_with_rows(kind))


def test_other_actions_and_columns_are_refused(tmp_path):
    written(tmp_path / "a")
    buffer = buffer_with_rows("frames")
    buffer.action_space = spaces.MultiDiscrete([5, 6])
    write_rows(tmp_path / "b", buffer)
    with pytest.raises(CheckpointError, match="rows of action"):
        open_rows(tmp_path / "a", tmp_path / "b")
    other = buffer_of("frames", 4, 2)
    other.observe(np.zeros((2, 4, 5, 6), np.uint8), np.ones(2, bool))
    other.add({"action": np.zeros((2, 3), np.int64)}, {})
    write_rows(tmp_path / "c", other)
    with pytest.raises(CheckpointError, match=r"column 'action' of \(dtype, shape\)"):
        open_rows(tmp_path / "a", tmp_path / "c")


def buffer_with_rows(kind):
    buffer = buffer_of(kind, 9, 2)
    Play(kind, 2).begin(buffer).play(buffer, 3)
    return buffer


def test_an_index_of_something_else_or_a_newer_version(tmp_path):
    with pytest.raises(CheckpointError, match=r"index.json.*pass a folder that write_rows wrote"):
        open_rows(tmp_path)
    for version, content, says in [
        (2, {"series": []}, "version 2.*pip install -U"),
        (1, {"series": [{"segments": [{}]}]}, "does not list segments"),
        (1, {}, "does not list segments"),
        (1, {"series": []}, "no rows"),
    ]:
        write_document(tmp_path / "index.json", "hakisa-dataset", version, content)
        with pytest.raises(CheckpointError, match=says):
            open_rows(tmp_path)


@pytest.mark.parametrize("function", ["save_file", "replace", "fsync"])
def test_a_full_disk_leaves_the_folder_as_it_was_and_the_buffer_free(tmp_path, monkeypatch, function):
    buffer, play = written(tmp_path, rows=8)
    play.play(buffer, 9)
    owner = safetensors.torch if function == "save_file" else os
    real, before = getattr(owner, function), sorted(tmp_path.iterdir())
    for fails_at in (1, 2, 3):
        calls = []

        def failing(*args, calls=calls, fails_at=fails_at, **kwargs):
            calls.append(args)
            if len(calls) == fails_at:
                raise OSError(28, "No space left on device")
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(owner, function, failing)
            with pytest.raises(OSError, match="No space"):
                write_rows(tmp_path, buffer)
        assert sorted(tmp_path.iterdir()) == before
        check(open_rows(tmp_path), [play], [range(8)])
        assert buffer.guard is None
    write_rows(tmp_path, buffer)
    check(open_rows(tmp_path), [play], [range(17)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("capacity", [4, 12, 40])
@pytest.mark.parametrize("rows", [0, 2, 12, 31])
def test_a_ring_of_any_size_takes_the_newest_rows_and_goes_on(tmp_path, kind, capacity, rows):
    saved = buffer_of(kind, 12, 2)
    play = Play(kind, 2).begin(saved)
    for count in (rows * 2 // 3, rows - rows * 2 // 3):
        play.play(saved, count)
        write_rows(tmp_path, saved)
    loaded = buffer_of(kind, capacity, 2)
    assert loaded.restore(saved.state(), open_rows(tmp_path) if rows else None) is None
    assert (loaded.rows, loaded.oldest) == (rows, max(saved.oldest, rows - capacity))
    for more in (0, 1, 2, 9):
        play.play(loaded, more)
        if loaded.rows:  # there are no columns before
            check(loaded, [play], [range(loaded.oldest, loaded.rows)])


def test_rows_of_another_number_of_columns_are_a_view_and_their_steps_count(tmp_path):
    saved, play = written(tmp_path, num_envs=3, rows=11)
    loaded = buffer_of("frames", 8, 2)
    view = open_rows(tmp_path)
    rest = loaded.restore(saved.state(), view)
    assert loaded.steps == 34  # 33, and whole rows only
    assert loaded.oldest == loaded.rows
    check(rest, [play], [range(11)])


def test_restored_rows_are_verified_before_use_and_must_fit(tmp_path):
    saved, _ = written(tmp_path, rows=20)
    path = sorted(tmp_path.glob("*.safetensors"))[-1]
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=path.name):
        buffer_of("frames", 20, 2).restore(saved.state(), open_rows(tmp_path))
    saved, _ = written(tmp_path / "other", "frames padded")
    with pytest.raises(CheckpointError, match="rows of stack"):
        buffer_of("frames", 20, 2).restore(saved.state(), open_rows(tmp_path / "other"))


def test_a_buffer_without_observations_is_stored_without_them(tmp_path):
    space, stack = KINDS["frames"]
    buffer = RolloutBuffer(9, 2, ObservationLayout(space), stack, keep_observations=False)
    Play("frames", 2).begin(buffer).play(buffer, 9)
    buffer._final.clear()
    write_rows(tmp_path, buffer)
    assert open_rows(tmp_path).take("reward", np.arange(9)).tolist() == list(range(0, 18, 2))
