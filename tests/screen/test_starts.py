"""Games that seed their chance with the clock do not play the same on displays that start together."""

import itertools
import logging
import multiprocessing
import os
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from hakisa_envs.screen.starts import second_of_its_own

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Other tests start such games at the same time."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def start(lasts):
    """The seconds of the clock that a start lay in."""
    with second_of_its_own(60.0):
        first = int(time.time())
        time.sleep(lasts)
        return first, int(time.time())


def stay(told):
    with second_of_its_own(60.0):
        told.set()
        time.sleep(600)


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, lambda count: ProcessPoolExecutor(count, SPAWN)])
def test_starts_share_no_second(pool):
    with pool(4) as several:
        seconds = sorted(several.map(start, [0.0, 0.3, 0.0, 0.0]))
    for (_, end), (begin, _) in itertools.pairwise(seconds):
        assert end < begin


def test_start_that_fails_or_is_killed_holds_nobody_up(caplog):
    told = SPAWN.Event()
    process = SPAWN.Process(target=stay, args=(told,))
    process.start()
    assert told.wait(600)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ZeroDivisionError), second_of_its_own(60.0):
        1 / 0  # noqa: B018
    start(0.0)
    process.join()
    assert not caplog.records


def test_start_that_hangs_is_waited_for_no_longer_than_that(caplog):
    told = SPAWN.Event()
    process = SPAWN.Process(target=stay, args=(told,))
    process.start()
    try:
        assert told.wait(600)
        with caplog.at_level(logging.WARNING), second_of_its_own(0.2):
            assert process.is_alive()
        assert "Others have been starting their game for 0 s" in caplog.text
    finally:
        process.kill()
        process.join()
    start(0.0)  # and it spoils nothing


@pytest.mark.parametrize("what", ["a link", "a folder"])
def test_what_stands_in_the_way_is_said_and_the_game_starts(what, tmp_path, caplog):
    path = tmp_path / f"hakisa-starts-{os.getuid()}"
    if what == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    start(0.0)
    assert f"because of {path}: remove it" in caplog.text
    assert not (tmp_path / "elsewhere").exists()
