"""Checkpoints with a ring: written once, beside the run, shared, linked; what a run goes on with is what it had."""

import errno
import os
import threading
from pathlib import Path

import pytest
import safetensors.torch
import torch

from hakisa_algos.data import dataset
from hakisa_algos.errors import CheckpointError
from hakisa_algos.training.checkpoint import Checkpoints, load_checkpoint
from tests.helpers.rows import Play, buffer_of, check, same_rows

KIND, ENVS, CAPACITY = "frames", 2, 20


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    monkeypatch.setattr(dataset, "_SEGMENT_BYTES", 500)  # three rows each


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


class Run:
    """A buffer that is played into, and the checkpoints of it."""

    def __init__(self, folder, capacity=CAPACITY, num_envs=ENVS, seed=0, label=0):
        self.buffer = buffer_of(KIND, capacity, num_envs)
        self.play = Play(KIND, num_envs, seed, label).begin(self.buffer)
        self.checkpoints = Checkpoints(folder)

    def go_on(self, rows):
        self.play.play(self.buffer, rows)
        return self

    def begin_save(self, **more):
        state = {"step": self.buffer.steps, "buffer": self.buffer.state()}
        return self.checkpoints.save(state, self.buffer, self.buffer.capacity, **more)

    def save(self, **more):
        path = self.begin_save(**more)
        self.checkpoints.close()
        return path


def restored(folder, capacity=CAPACITY, num_envs=ENVS):
    """A buffer as a resumed run has it, and the rows that are not in it."""
    checkpoint = load_checkpoint(folder)
    buffer = buffer_of(KIND, capacity, num_envs)
    return buffer, buffer.restore(checkpoint.state["buffer"], checkpoint.rows)


def segments(folder):
    return {path.name: path.stat().st_ino for path in (folder / "rows").iterdir()}


def test_a_save_writes_what_is_new_and_removes_what_nobody_needs(folder):
    run = Run(folder)
    seen, sizes = {}, []
    for rows in (7, 10, 1, 0, 8, 16, 50):
        before = segments(folder) if seen else {}
        run.go_on(rows).save()
        now = segments(folder)
        assert all(now[name] == inode for name, inode in before.items() if name in now)
        loaded, rest = restored(folder)
        assert rest is None
        same_rows(run.buffer, loaded, min(run.buffer.rows, CAPACITY))
        assert loaded.oldest == run.buffer.oldest
        if before and rows < 10:
            # The last row of before is written again, since its episode may have been closed.
            assert len(set(now) - set(before)) == -(-(rows + 1) // 3)
        seen, sizes = now, [*sizes, len(now)]
    assert max(sizes) < 20


def test_older_checkpoints_and_the_best_lose_their_ring_when_it_has_gone_round(folder):
    run = Run(folder)
    first = run.go_on(5).save(best=True)
    run.go_on(5).save()
    # All of its rows are there still, those of the next one as well, which are not its own.
    early = load_checkpoint(first)
    assert early.rows.series[-1].end == 5
    buffer = buffer_of(KIND, CAPACITY, ENVS)
    buffer.restore(early.state["buffer"], early.rows)
    check(buffer, [kept(run.play, 5)], [range(5)])
    run.go_on(40).save()
    for where in (first, folder / "best"):
        assert load_checkpoint(where).state["step"] == 10
        assert load_checkpoint(where).rows is None
    assert load_checkpoint(folder).rows is not None


def kept(play, rows):
    part = Play.__new__(Play)
    part.n, part.rows = play.n, play.rows[:rows]
    return part


def test_a_ring_that_is_missing_or_cut_short_in_the_latest_is_damage(folder):
    Run(folder).go_on(9).save()
    path = sorted((folder / "rows").iterdir())[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match=rf"{path.name}.*cut short"):
        restored(folder)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=rf"{path.name}.*SHA-256"):
        restored(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"{path.name} is missing"):
        restored(folder)
    load_checkpoint(folder)  # which is enough to predict


def test_without_rows_the_run_goes_on_from_an_empty_ring(folder):
    run = Run(folder).go_on(9)
    run.checkpoints.save({"step": 18, "buffer": run.buffer.state()}, run.buffer, 0)
    run.checkpoints.close()
    assert segments(folder) == {}
    assert load_checkpoint(folder).rows is None
    loaded, _ = restored(folder)
    assert (loaded.rows, loaded.oldest) == (9, 9)
    run.play.play(loaded, 5)
    check(loaded, [run.play], [range(9, 14)])


def test_a_resumed_run_goes_on_with_the_same_segments(folder):
    run = Run(folder).go_on(30)
    run.save()
    before = segments(folder)
    run.buffer, _ = restored(folder)
    run.checkpoints = Checkpoints(folder)
    run.go_on(2).save()
    assert len(set(segments(folder)) - set(before)) == 1
    loaded, _ = restored(folder)
    same_rows(run.buffer, loaded, CAPACITY)


def test_a_closed_episode_is_closed_in_the_next_checkpoint(folder):
    run = Run(folder).go_on(9)
    run.save()
    run.buffer.close_episodes(run.play.seen)
    run.save()
    loaded, _ = restored(folder)
    same_rows(run.buffer, loaded, 9)
    assert loaded.rollout(1).column("truncated").any()


def test_rows_of_another_number_of_columns_stay_a_second_view_through_checkpoints(folder, tmp_path):
    old = Run(folder, num_envs=3, label=10_000).go_on(12)
    old.save()
    new = Run(folder)
    checkpoint = load_checkpoint(folder)
    rest = new.buffer.restore(checkpoint.state["buffer"], checkpoint.rows)
    assert new.buffer.steps == 36
    new.play.begin(new.buffer)
    for _ in range(2):
        new.go_on(3).save(stored=rest)
        loaded, rest = restored(folder)
        check(rest, [old.play], [range(12)])
        check(loaded, [new.play], [range(18, loaded.rows)])
    new.save()  # without them
    assert len(load_checkpoint(folder).rows.series) == 1


@pytest.mark.parametrize("link", [True, False])
def test_saving_what_was_loaded_links_its_rows_into_another_folder(folder, tmp_path, monkeypatch, link):
    run = Run(folder).go_on(30)
    run.save()
    loaded = load_checkpoint(folder)
    rows = loaded.rows
    if not link:

        def refuse(self, target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    mine = tmp_path / "mine"
    checkpoints = Checkpoints(mine)
    for _ in range(2):
        checkpoints.save(loaded.state, stored=rows)
        checkpoints.close()
    assert (segments(mine) == segments(folder)) == link
    assert set(segments(mine)) == set(segments(folder))
    same_rows(run.buffer, restored(mine)[0], CAPACITY)
    # The folder that it came from may go, and a run goes on in either.
    run.go_on(40).save()
    same_rows(restored(mine)[0], restored(mine)[0], CAPACITY)
    for path in (folder / "rows").iterdir():
        path.unlink()
    lost = Checkpoints(tmp_path / "other")
    lost.save(loaded.state, stored=rows)
    with pytest.raises(CheckpointError, match="cannot be saved again"):
        lost.close()


def test_a_buffer_that_was_saved_elsewhere_in_between(folder, tmp_path):
    run = Run(folder).go_on(10)
    run.save()
    other = Checkpoints(tmp_path / "other")
    run.go_on(2)
    other.save({"step": 24, "buffer": run.buffer.state()}, run.buffer, CAPACITY)
    run.begin_save()  # while that one is written
    other.close()
    run.checkpoints.close()
    for where in (folder, tmp_path / "other"):
        same_rows(run.buffer, restored(where)[0], 12)
    for path in (tmp_path / "other" / "rows").iterdir():
        path.unlink()
    run.go_on(1).save()
    same_rows(run.buffer, restored(folder)[0], 13)


class Gate:
    """Holds the writing thread before each segment until it is let through."""

    def __init__(self, monkeypatch):
        self.turns = threading.Semaphore(0)
        real = dataset.write_segment

        def held(*arguments):
            assert self.turns.acquire(timeout=60)
            return real(*arguments)

        monkeypatch.setattr(dataset, "write_segment", held)

    def open(self):
        self.turns.release(1000)


def test_a_save_returns_at_once_and_is_of_the_moment_of_the_call(folder, monkeypatch):
    gate = Gate(monkeypatch)
    run = Run(folder).go_on(12)
    weights, array = torch.zeros(3), run.play.rows[0]["reward"].copy()
    state = {"step": 24, "buffer": run.buffer.state(), "weights": weights, "array": array, "row": weights[1:]}
    path = run.checkpoints.save(state, run.buffer, CAPACITY)
    assert not path.exists()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(folder)
    weights += 1
    array += 5
    run.buffer.close_episodes(run.play.seen)  # as an evaluation in the same env does
    gate.open()
    run.checkpoints.wait()
    assert load_checkpoint(folder).path == path
    found = load_checkpoint(folder).state
    assert found["weights"].tolist() == [0, 0, 0]
    assert found["row"].tolist() == [0, 0]
    assert found["array"].tolist() == [0, 1]
    check(restored(folder)[0], [run.play], [range(12)])


def test_a_fast_collector_waits_for_a_slow_writer_and_rows_never_mix(folder, monkeypatch):
    gate = Gate(monkeypatch)
    run = Run(folder).go_on(53)  # the ring is full, its seam somewhere
    waits = threading.Semaphore(0)
    real = dataset.Snapshot._wait

    def wait(self, row):
        if row >= self._safe:
            waits.release()
        real(self, row)

    monkeypatch.setattr(dataset.Snapshot, "_wait", wait)
    run.begin_save()
    collector = threading.Thread(target=run.go_on, args=(70,))
    collector.start()
    stops = []
    while collector.is_alive() and run.buffer.guard is not None:
        if waits.acquire(timeout=1):
            stops.append(run.buffer.rows)
        gate.turns.release()
    gate.open()
    collector.join(60)
    run.checkpoints.close()
    assert not collector.is_alive()
    assert run.buffer.rows == 123
    assert run.buffer.guard is None
    # It waited again and again, and by so many rows at a time as a segment has.
    assert len(stops) > 3
    assert stops == sorted(stops)
    assert stops[-1] < 53 + 24
    check(restored(folder)[0], [kept(run.play, 53)], [range(33, 53)])
    check(run.buffer, [run.play], [range(103, 123)])


@pytest.mark.parametrize("function", ["fsync", "replace", "save_file", "write_segment"])
@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_full_disk_is_raised_by_the_next_call_and_leaves_the_buffer_free(folder, monkeypatch, function, fails_at):
    run = Run(folder).go_on(30)
    run.save()
    good = segments(folder)
    calls = []
    owner = {"save_file": safetensors.torch, "write_segment": dataset}.get(function, os)
    real = getattr(owner, function)

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, function, failing)
        run.go_on(9).begin_save()
        run.go_on(60)  # does not wait for ever
        with pytest.raises(OSError, match="No space"):
            run.checkpoints.wait()
    assert run.buffer.guard is None
    assert load_checkpoint(folder).state["step"] == 60
    assert segments(folder) == good
    assert not list(folder.rglob(".tmp-*"))
    run.checkpoints.close()  # it was said
    run.save()
    same_rows(run.buffer, restored(folder)[0], CAPACITY)


def test_the_error_of_a_save_is_raised_by_the_next_save(folder, monkeypatch):
    run = Run(folder).go_on(4)
    with monkeypatch.context() as patch:

        def failing(*arguments):
            raise OSError("broken")

        patch.setattr(dataset, "write_segment", failing)
        run.begin_save()
        with pytest.raises(OSError, match="broken"):
            run.begin_save()
    run.save()
    assert load_checkpoint(folder).state["step"] == 8


def test_a_state_that_cannot_be_stored_is_refused_before_the_buffer_is_bound(folder):
    run = Run(folder).go_on(30)
    with pytest.raises(CheckpointError, match="set"):
        run.checkpoints.save({"step": 1, "wrong": {1}}, run.buffer, CAPACITY)
    assert run.buffer.guard is None
    assert not folder.exists()
