"""Child of test_checkpoint: saves with a SIGKILL at every line that writes or removes, and in the middle of writes.

Run as ``python kill_checkpoint_writes.py FOLDER``. Each save happens in a forked child, which kills itself at
its n-th event; the parent then loads. It stands alone (not in the pytest process) because it forks. The ring lies in
many segments and goes round, so that old ones go with every save. It prints how many kills it survived; anything wrong
is an exception.
"""

import functools
import os
import signal
import sys
import threading
from pathlib import Path

import safetensors.torch
import torch

from hakisa_algos.data import dataset, files
from hakisa_algos.training import checkpoint as module
from hakisa_algos.training.checkpoint import Checkpoints, load_checkpoint
from tests.helpers.rows import Play, buffer_of, check

CAPACITY, ENVS = 9, 2
dataset._SEGMENT_BYTES = 500  # three rows each
module._KEPT = 2
os.fsync = lambda descriptor: None  # which a kill of the process does not depend on, and which takes most of the time

buffer = buffer_of("frames", CAPACITY, ENVS)
play = Play("frames", ENVS).begin(buffer)


def save(folder):
    checkpoints = Checkpoints(folder)
    state = {"step": buffer.steps, "weights": torch.full((500,), float(buffer.steps)), "buffer": buffer.state()}
    checkpoints.save(state, buffer, CAPACITY)
    checkpoints.close()


def check_latest(folder):
    """The step of the latest checkpoint, of which everything is as it was saved."""
    checkpoint = load_checkpoint(folder)
    state = checkpoint.state
    assert torch.equal(state["weights"], torch.full((500,), float(state["step"])))
    loaded = buffer_of("frames", CAPACITY, ENVS)
    assert loaded.restore(state["buffer"], checkpoint.rows) is None
    assert loaded.steps == state["step"]
    assert loaded.oldest == max(0, loaded.rows - CAPACITY)
    # What was played after it must not count as following it.
    known = Play.__new__(Play)
    known.n, known.rows = ENVS, [row for row in play.rows if row["number"] < loaded.rows]
    check(loaded, [known], [range(loaded.oldest, loaded.rows)])
    return state["step"]


def in_child(action):
    """Run ``action`` in a fork; returns whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the save itself failed"
    return os.WIFSIGNALED(status)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_line(n):
    """Trace the modules that write, in all threads, and die when their n-th line is about to run."""
    count = 0

    def local(frame, event, argument):
        nonlocal count
        if event == "line":
            count += 1
            if count == n:
                die()
        return local

    def start(frame, event, argument):
        return local if frame.f_code.co_filename in (module.__file__, files.__file__) else None

    threading.settrace(start)
    sys.settrace(start)


def half_tensors(at):
    calls = 0
    real = safetensors.torch.save_file

    def half(tensors, path, metadata=None):
        nonlocal calls
        calls += 1
        if calls == at:
            Path(path).write_bytes(safetensors.torch.save(tensors, metadata)[:700])
            die()
        real(tensors, path, metadata)

    safetensors.torch.save_file = half


def half_text(at):
    calls = 0
    real = files.write_text

    def half(path, text):
        nonlocal calls
        calls += 1
        if calls == at:
            path.with_name(files.TEMPORARY + path.name).write_text(text[: len(text) // 2], encoding="utf-8")
            die()
        real(path, text)

    files.write_text = module.write_text = half


def survive(folder, fault):
    """Kill a save; load; then save the next one in peace. Returns whether it was killed."""
    good = check_latest(folder) if (folder / "latest").exists() else None
    play.play(buffer, 4)

    def faulty():
        fault()
        save(folder)

    killed = in_child(faulty)
    if good is not None or not killed:
        loaded = check_latest(folder)
        assert loaded in (good, buffer.steps), f"loaded {loaded}, not {good} or {buffer.steps}"
        assert killed or loaded == buffer.steps
    play.play(buffer, 1)
    save(folder)
    assert check_latest(folder) == buffer.steps
    left = [path.name for path in folder.rglob("*") if path.name.startswith(".tmp-")]
    assert not left, f"leftovers of the killed write stayed: {left}"
    assert len(list(folder.glob("step_*"))) == 2 or good is None, "old checkpoints stayed"
    listed = {segment.path for segment in load_checkpoint(folder).rows.series[0].segments}
    assert listed == set((folder / "rows").iterdir()), "old segments stayed"
    return killed


def main(folder):
    kills = 0
    while survive(folder, functools.partial(kill_at_line, kills + 1)):
        kills += 1
    # The segments and the weights; the state, the pointer.
    for half, most in ((half_tensors, 3), (half_text, 2)):
        for at in range(1, most + 1):
            assert survive(folder, functools.partial(half, at))
            kills += 1
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
