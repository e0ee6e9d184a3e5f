"""Tasks give the same in this process and in others, and a lost worker changes nothing."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hakisa_algos import pool as pool_module
from hakisa_algos.errors import PoolError
from hakisa_algos.pool.pool import Pool
from tests.pool import tasks
from tests.pool.tasks import Counter, DiesOnce

DEADLINE = 600


def wait_for(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "nothing came within ten minutes"
        time.sleep(0.01)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def pool():
    with Pool(2) as pool:
        yield pool


def test_results_come_in_the_order_of_the_tasks(pool):
    expected = [n * n for n in range(20)]
    assert Pool(0).map(tasks.square, range(20)) == expected
    assert pool.map(tasks.square, range(20)) == expected
    assert pool.map(tasks.square, []) == []


def test_the_function_is_made_once_per_worker_and_kept(pool):
    function = Counter()
    first = pool.map(function, range(10))
    second = pool.map(function, range(10))
    pids = {pid for _, pid, _ in first + second}
    assert 1 <= len(pids) <= 2  # the first to come up may have done it all
    assert os.getpid() not in pids
    for pid in pids:
        counts = [calls for _, who, calls in first + second if who == pid]
        assert sorted(counts) == list(range(1, len(counts) + 1))
    assert function.calls == 0


def test_another_function_replaces_it_and_the_old_one_is_closed(pool, tmp_path):
    pids = {str(pid) for _, pid, _ in pool.map(Counter(tmp_path), range(10))}
    assert not list(tmp_path.iterdir())
    # Each worker takes part, so each lets go of what it had.
    here = tmp_path.with_name(f"{tmp_path.name}-here")
    here.mkdir()
    assert len(set(pool.map(functools.partial(tasks.meets_another, here), range(2)))) == 2
    assert {path.name for path in tmp_path.iterdir()} == pids


def test_closures_travel(pool):
    three = 3
    assert pool.map(lambda task: task + three, [1, 2]) == [4, 5]


def test_closing_ends_the_workers_and_lets_go_of_the_function(tmp_path):
    with Pool(2) as pool:
        pids = {pid for _, pid, _ in pool.map(Counter(tmp_path), range(10))}
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids))
    assert {int(path.name) for path in tmp_path.iterdir()} == pids
    assert pool.map(tasks.square, [3]) == [9]  # it comes up again
    pool.close()


def test_a_worker_killed_in_mid_task_changes_nothing(tmp_path, caplog):
    with Pool(2) as pool:
        assert pool.map(DiesOnce(tmp_path, unlucky=4), range(12)) == [n * n for n in range(12)]
    assert (tmp_path / "died").exists()
    assert "a worker was lost (exit code -9, SIGKILL" in caplog.text


def test_workers_killed_from_outside_change_nothing(tmp_path):
    with Pool(2) as pool:

        def murder():
            wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
            victims = [int(path.name[4:]) for path in tmp_path.glob("pid-*")]
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 4)
            (tmp_path / "go").touch()

        killer = threading.Thread(target=murder)
        killer.start()
        pids = pool.map(tasks.reports_and_waits, [tmp_path] * 2)
        killer.join()
    assert len(set(pids)) == 2
    assert len({int(path.name[4:]) for path in tmp_path.glob("pid-*")} - set(pids)) == 2


def test_a_worker_killed_between_two_calls_is_replaced():
    with Pool(1) as pool:
        (_, pid, _), *_ = pool.map(Counter(), [1])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid))
        assert pool.map(tasks.square, [2, 3]) == [4, 9]


def test_a_task_that_ends_every_worker_is_an_error():
    with (
        Pool(1) as pool,
        pytest.raises(PoolError, match=r"3 workers were lost with one task, .* code -9, SIGKILL"),
    ):
        pool.map(tasks.always_dies, [1])


def test_what_a_task_raises_is_raised_here(pool):
    with pytest.raises(ValueError, match="no 2") as caught:
        pool.map(tasks.fails, range(3))
    assert "In a worker process" in caught.value.__notes__[0]
    assert "in fails" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Odd: odd"):  # which cannot be pickled itself
        pool.map(tasks.fails, [3])
    with pytest.raises(ValueError, match="no 2"):
        Pool(0).map(tasks.fails, range(3))
    assert pool.map(tasks.square, [3]) == [9]


def test_a_result_that_cannot_be_pickled_is_an_error(pool):
    with pytest.raises(Exception, match="lambda"):
        pool.map(lambda task: lambda: task, [1])


def test_a_worker_leaves_ctrl_c_to_the_pool(pool, tmp_path):
    assert pool.map(tasks.wants_no_interrupt, [tmp_path]) == ["still here"]


def test_workers_end_when_their_pool_is_killed(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("orphan.py")), str(tmp_path)]
    with subprocess.Popen(command) as process:
        wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
        process.kill()
    pids = [int(path.name[4:]) for path in tmp_path.glob("pid-*")]
    wait_for(lambda: not any(map(is_running, pids)))


def test_the_rest_goes_on_where_a_lost_task_is_taken(tmp_path):
    told = []

    def lost(task, error):
        told.append((task, str(error)))
        return "lost"

    function = functools.partial(tasks.dies_of, unlucky=1)
    with Pool(2) as pool:
        assert pool.map(function, range(5), lost) == [0, "lost", 4, 9, 16]
        assert pool.map(tasks.square, [6]) == [36]
    (found,) = told
    assert found == (1, "3 workers were lost with one task, the last with exit code -11, SIGSEGV")


def test_a_deadly_task_takes_no_other_with_it(tmp_path):
    with Pool(2) as pool:
        function = functools.partial(tasks.dies_beside, tmp_path)
        assert pool.map(function, range(2), lambda task, error: "lost") == ["lost", 1]


def test_it_needs_no_envs():
    sources = Path(pool_module.__file__).parent.glob("*.py")
    assert not [path.name for path in sources if "hakisa_envs" in path.read_text()]


def test_workers_come_up_side_by_side(tmp_path):
    """None waits for another to read a function that is more than a pipe holds."""
    with Pool(3) as pool:
        times = pool.map(tasks.Heavy(tmp_path), range(3))
    assert max(started for started, _ in times) < min(called for _, called in times)


def test_workers_end_side_by_side(tmp_path):
    """Each ends when all have been told to; one after the other they would have to be killed."""
    with Pool(4) as pool, pytest.raises(ValueError, match="all are at it"):
        pool.map(functools.partial(tasks.ends_with_the_others, tmp_path), range(4))
    assert len(list(tmp_path.glob("at-*"))) == len(list(tmp_path.glob("ended-*"))) == 3


SCRIPT = """
import resource
from hakisa_algos.pool.pool import Pool

if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(abs, [1])  # opens what only the first worker needs
        pool.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))
        pool.map(abs, [1, 2])
"""


def test_a_worker_that_cannot_be_started_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "PoolError: worker process 1 of 2 cannot be started: [Errno 24] Too many open files. Use fewer" in last


def test_a_script_without_a_main_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from hakisa_algos.pool.pool import Pool\nPool(1).map(abs, [1])\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600)
    assert done.returncode != 0
    assert 'put what it does under if __name__ == "__main__":' in done.stderr


@pytest.mark.parametrize("workers", [-1, 1.5, True])
def test_a_wrong_number_of_workers_is_refused(workers):
    with pytest.raises(ValueError, match=rf"workers={workers!r} must be a whole number of at least 0"):
        Pool(workers)
