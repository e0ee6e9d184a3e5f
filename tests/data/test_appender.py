"""A buffer's rows, written beside whoever fills it: few files, all of them listed, and nothing lost on the way."""

import gymnasium as gym
import numpy as np
import pytest

from hakisa_algos.data import dataset
from hakisa_algos.data.dataset import INDEX, RowAppender, list_series, open_rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.policy.observations import ObservationLayout

SPACE = gym.spaces.Box(0, 255, (9, 9, 1), np.uint8)
CAPACITY = 64


@pytest.fixture
def fill(tmp_path):
    """Adds rows, whose pictures and rewards say their numbers, and writes them every so often."""
    layout = ObservationLayout(SPACE)
    buffer = RolloutBuffer(CAPACITY, 1, layout)
    appender = RowAppender(tmp_path / "rows", buffer)

    def observe(number):
        buffer.observe(layout.encode(np.full((1, 9, 9, 1), number % 251, np.uint8)), np.array([number == 0]))

    def add(count, every, wait):
        for _ in range(count):
            appender.make_room()
            if buffer.rows == 0:
                observe(0)
            columns = {"terminated": [False], "truncated": [False], "transition": [True], "learned": [True]}
            row = {name: np.array(value) for name, value in columns.items()}
            row |= {"reward": np.array([buffer.rows], np.float32), "action": np.array([buffer.rows % 7])}
            buffer.add(row | {"policy_version": np.zeros(1, np.int32)}, {})
            observe(buffer.rows)
            if buffer.rows % every == 0:
                appender.flush(wait=wait)

    yield tmp_path / "rows", appender, add
    appender.close()


def check(folder, count):
    """All rows are there, each as it was, in files that are there."""
    rows = open_rows(folder)
    position = np.arange(count)
    assert rows.rewards(position).ravel().tolist() == list(range(count))
    assert (rows.observation(position).numpy()[:, 0, 0, 0] == position % 251).all()


@pytest.mark.parametrize("every", [1, 3, 32, 63, 100])
@pytest.mark.parametrize("wait", [True, False])
def test_many_rows_are_few_files_and_all_there(fill, every, wait):
    folder, appender, add = fill
    for count in (250, 250, 500, 1000):
        add(count, every, wait)
    appender.close()
    check(folder, 2000)
    (series,) = list_series(folder)
    names = {segment.path.name for segment in series.segments} | {INDEX}
    assert {path.name for path in folder.iterdir()} == names
    # Half of the buffer is the longest that a segment gets, half of that the shortest that lasts.
    assert len(names) <= 2000 / (CAPACITY / 4) + 8


def test_at_any_moment_what_was_written_can_be_read(fill):
    folder, _, add = fill
    for written in range(5, 400, 5):
        add(5, 5, True)
        check(folder, written)
        # Somebody who has read the index before may still open what it lists.
        assert len(list(folder.iterdir())) <= len(list_series(folder)[0].segments) + 10


def test_a_write_that_fails_loses_nothing_that_is_on_the_disk(fill, monkeypatch):
    folder, _, add = fill
    add(45, 5, True)
    write, failures = dataset.write_document, []

    def fail(*arguments):
        if len(failures) < 3:
            failures.append(1)
            raise OSError("no space left on device")
        write(*arguments)

    monkeypatch.setattr(dataset, "write_document", fail)
    for _ in range(3):
        with pytest.raises(OSError, match="no space"):
            add(5, 5, True)
        check(folder, 45)
        assert len(list(folder.iterdir())) <= len(list_series(folder)[0].segments) + 4
    add(140, 5, True)
    check(folder, 200)


def test_a_disk_that_stays_full_is_said_when_there_is_no_more_room(fill, monkeypatch):
    folder, _, add = fill
    add(45, 5, True)

    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(dataset, "write_document", fail)
    with pytest.raises(OSError, match="no space"):
        add(500, 1000, False)
    monkeypatch.undo()
    check(folder, 45)
    add(1, 1, True)
    check(folder, 45 + CAPACITY)
