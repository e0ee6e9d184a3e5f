"""Child of test_checkpoint_kill: saves with a SIGKILL at every line of checkpoint.py and in the middle of writes.

Run as ``python kill_checkpoint_writes.py FOLDER``. Each save happens in a forked child, which kills itself at
its n-th event; the parent then loads. It stands alone (not in the pytest process) because it forks. It prints
how many kills it survived; anything wrong is an exception.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from hakisa_algos.training import checkpoint as module
from hakisa_algos.training.checkpoint import load_checkpoint, save_checkpoint


def state_of(step):
    return {"step": step, "weights": torch.full((500,), float(step)), "ring": np.full(500, step)}


def check(state):
    step = state["step"]
    assert torch.equal(state["weights"], state_of(step)["weights"])
    assert np.array_equal(state["ring"], state_of(step)["ring"])
    return step


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
    """Trace checkpoint.py and die when its n-th line is about to run."""
    count = 0

    def local(frame, event, argument):
        nonlocal count
        if event == "line":
            count += 1
            if count == n:
                die()
        return local

    def start(frame, event, argument):
        return local if frame.f_code.co_filename == module.__file__ else None

    sys.settrace(start)


def half_safetensors(tensors, path):
    Path(path).write_bytes(safetensors.torch.save(tensors)[:700])
    die()


def half_array(entry, array, allow_pickle):
    entry.write(b"\x93NUMPY half")
    die()


def half_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[: len(text) // 2])
    die()


def half_pointer(path, text):
    if path.name.endswith("latest"):
        half_text(path, text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def survive(folder, step, save):
    """Kill a save of ``step``; load; then save the next one in peace. Returns whether it was killed."""
    good = check(load_checkpoint(folder)) if (folder / "latest").exists() else None
    killed = in_child(save)
    if good is not None or not killed:
        loaded = check(load_checkpoint(folder))
        assert loaded in (good, step), f"loaded {loaded}, not {good} or {step}"
        assert killed or loaded == step
    save_checkpoint(folder, state_of(step + 1), keep=2)
    assert check(load_checkpoint(folder)) == step + 1
    assert not list(folder.glob(".tmp-*")), "leftovers of the killed write stayed"
    assert len(list(folder.glob("step_*"))) == 2 or good is None, "old checkpoints stayed"
    return killed


def main(folder):
    killed, kills, step = True, 0, 0
    while killed:
        step += 2

        def save(line=kills + 1, step=step):
            kill_at_line(line)
            save_checkpoint(folder, state_of(step), keep=2)

        killed = survive(folder, step, save)
        kills += killed

    for owner, name, fault in (
        (safetensors.torch, "save_file", half_safetensors),
        (np.lib.format, "write_array", half_array),
        (module, "_write_text", half_text),
        (module, "_write_text", half_pointer),
    ):
        step += 2

        def save(owner=owner, name=name, fault=fault, step=step):
            setattr(owner, name, fault)
            save_checkpoint(folder, state_of(step), keep=2)

        assert survive(folder, step, save)
        kills += 1
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
