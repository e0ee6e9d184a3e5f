"""Checkpoints: exact round trips, kills and faults at every step of a write, and damaged or hostile files."""

import json
import math
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from hakisa_algos.data import files
from hakisa_algos.errors import CheckpointError
from hakisa_algos.training import checkpoint as module
from hakisa_algos.training.checkpoint import Checkpoints, find_checkpoint, load_checkpoint

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
    torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


def save_checkpoint(folder, state, **more):
    checkpoints = Checkpoints(folder)
    path = checkpoints.save(state, **more)
    checkpoints.close()
    return path


def load_state(folder):
    return load_checkpoint(folder).state


def same(a, b):
    """Equality of states to the bit, types included."""
    if isinstance(a, torch.Tensor):
        if not (isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape):
            return False
        raw = [x.detach().contiguous().reshape(-1).view(torch.uint8) if x.numel() else x for x in (a, b)]
        return torch.equal(*raw) if a.numel() else True
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def test_plain_values_and_rng_states_come_back_exactly(folder):
    state = {
        "step": 0,
        "numbers": [0, -1, 2**63, -(2**64), 10**9000, 1.5, -0.0, 5e-324, math.nan, math.inf, -math.inf],
        "others": (None, True, False, "", "tab\t\u2603 \ud800", [], (), {}, {"": {}}, ([],), b"", b"\x00env"),
        "looks like a tag": {"tuple": 1, "dict": {}, "tensor": "x"},
        "int keys": {0: {"a": 1}, "0": 2, 2**70: 3},
        "rngs": {
            "python": random.Random(1).getstate(),
            "numpy": np.random.default_rng(1).bit_generator.state,
            "philox": np.random.Philox(3).state,
            "torch": torch.Generator().manual_seed(1).get_state(),
        },
    }
    path = save_checkpoint(folder, state)
    assert path.name == "step_000000000"
    assert same(load_state(folder), state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_dtype_and_shape_come_back_exactly(folder, dtype):
    base = torch.randn(4, 6).mul(3).abs().to(dtype)
    state = {"step": 1, "a": base, "zero_dim": base[0, 0].clone(), "empty": base[:0], "strided": base.t()[::2]}
    save_checkpoint(folder, state)
    assert same(load_state(folder), state)


def test_arrays_of_every_dtype_come_back_exactly(folder):
    arrays = {code: np.arange(6).reshape(2, 3).astype(code) for code in "?bBhHiIlLqQefdF"}
    state = {"step": 1, "arrays": arrays, "reversed": np.arange(5)[::-1], "empty": np.zeros((0, 3), np.uint16)}
    state["file"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    state["x"], state["x.npy"] = np.arange(3, dtype=np.uint64), np.array(True)
    state["scalars"] = [np.float32(1.5), np.uint64(2**64 - 1), np.bool_(True), np.float64(math.nan)]
    save_checkpoint(folder, state)
    loaded = load_state(folder)
    assert same(loaded, state)
    loaded["x"][0] = 7  # what was loaded can be trained on


@pytest.mark.parametrize("dtype", ["D", "g", "U5", "S3", "M8[s]", ">i4", [("id", "i4")], "O"])
def test_arrays_that_torch_has_no_dtype_for_are_refused(folder, dtype):
    with pytest.raises(CheckpointError, match=r"at 'a' (has dtype|is) .*convert it"):
        save_checkpoint(folder, {"step": 1, "a": np.zeros(2, dtype)})


def test_random_nested_states_come_back_exactly(tmp_path_factory):
    pytest.importorskip("hypothesis")
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as some

    # Of lambdas hypothesis parses the source, and Python 3.11 cannot do that in two threads at once (SystemError).
    def tensor(dtype):
        return torch.arange(3).to(dtype)

    def array(code):
        return np.ones((2, 2), dtype=code)

    def containers(inner):
        lists = some.lists(inner, max_size=4)
        return lists | lists.map(tuple) | some.dictionaries(some.text(max_size=5) | some.integers(), inner, max_size=4)

    leaves = (
        some.none() | some.booleans() | some.integers() | some.floats() | some.text()
        | some.sampled_from(DTYPES).map(tensor) | some.sampled_from("?iQfd").map(array)
    )  # fmt: skip
    nested = some.recursive(leaves, containers, max_leaves=15)

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(nested)
    def round_trip(value):
        folder = tmp_path_factory.mktemp("state")
        save_checkpoint(folder, {"step": 3, "value": value})
        assert same(load_state(folder)["value"], value)

    round_trip()


def test_shared_memory_and_parameters_are_stored_as_values(folder):
    weight = torch.nn.Parameter(torch.randn(3, 3))
    state = {"step": 1, "weight": weight, "tied": weight, "row": weight[0], "a.b": torch.ones(1), "a": {"b": weight}}
    save_checkpoint(folder, state)
    loaded = load_state(folder)
    assert same({**loaded}, {**state})
    loaded["weight"].add_(1)
    assert same(loaded["tied"], weight)


def test_a_whole_optimizer_and_module_come_back(folder):
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save_checkpoint(folder, {"step": 1, "net": net.state_dict(), "optimizer": optimizer.state_dict()})
    loaded = load_state(folder)
    assert same(loaded["optimizer"], optimizer.state_dict())
    net.load_state_dict(loaded["net"])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1, 2}, "builtins.set"),
        (np.array([None]), "dtype object"),
        (np.str_("s"), "dtype <U1"),
        ({(1, 2): 3}, "key (1, 2)"),
        (torch.ones(2, 2).to_sparse(), "sparse"),
        (torch.ones(2, dtype=torch.complex128), "complex128"),
        (torch.empty(2, device="meta"), "meta"),
        (lambda: 0, "function"),
    ],
)
def test_what_cannot_be_stored_is_named_and_nothing_is_written(folder, value, says):
    with pytest.raises(CheckpointError, match=r"'a\.0'") as error:
        save_checkpoint(folder, {"step": 1, "a": [value]})
    assert says in str(error.value)
    assert not folder.exists()


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": 1.0}, {"step": True}])
def test_a_state_needs_a_step(folder, state):
    with pytest.raises(CheckpointError, match="step"):
        save_checkpoint(folder, state)


def test_the_newest_are_kept_and_the_best_besides(folder):
    best = save_checkpoint(folder, {"step": 1}, best=True)
    for step in (2, 3, 4, 5):
        save_checkpoint(folder, {"step": step})
    assert sorted(path.name for path in folder.glob("step_*")) == [
        "step_000000001", "step_000000003", "step_000000004", "step_000000005",
    ]  # fmt: skip
    assert load_state(folder)["step"] == 5
    assert load_state(folder / "best")["step"] == 1
    assert load_state(best)["step"] == 1
    assert find_checkpoint(folder / "best") == best


def test_a_run_resumed_from_before_its_latest_loses_the_abandoned_ones_first(folder):
    for step in (10, 20, 30):
        save_checkpoint(folder, {"step": step})
    for step in (11, 12, 13):
        save_checkpoint(folder, {"step": step})
    assert sorted(path.name for path in folder.glob("step_*")) == [f"step_0000000{step}" for step in (11, 12, 13)]


def test_the_same_step_twice_never_overwrites(folder):
    first = save_checkpoint(folder, {"step": 7, "n": 1})
    second = save_checkpoint(folder, {"step": 7, "n": 2})
    assert (first.name, second.name) == ("step_000000007", "step_000000007-2")
    assert (load_state(first)["n"], load_state(folder)["n"]) == (1, 2)


def test_a_kill_at_every_line_and_inside_every_write_leaves_the_last_good_one(tmp_path):
    script = Path(__file__).with_name("kill_checkpoint_writes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "checkpoints")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


# An exception at the very line that closes a file keeps it open until it is collected.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_at_every_line_leaves_the_last_good_one(folder):
    save_checkpoint(folder, {"step": 0, "weights": torch.zeros(9)})
    previous, step, faults = threading.gettrace(), 0, 0
    while True:
        step += 1
        fault = fault_at_line(step, previous)
        try:
            with fault:
                save_checkpoint(folder, {"step": step, "weights": torch.full((9,), step)})
        except OSError as error:
            assert str(error) == "injected"  # noqa: PT017 (one that hits the look for old segments is of no harm)
        if fault.left > 0:  # there is no such line
            break
        faults += 1
        loaded = load_state(folder)
        assert loaded["step"] in (step - 1, step)
        assert same(loaded["weights"], torch.full((9,), loaded["step"]).to(loaded["weights"].dtype))
        save_checkpoint(folder, {"step": step, "weights": torch.full((9,), step)})
        assert not list(folder.glob(".tmp-*"))
    assert faults > 60


class fault_at_line:
    """Raise OSError when the n-th line of checkpoint.py or files.py that the writing thread runs is about to."""

    def __init__(self, line, previous):
        self.left, self.previous = line, previous

    def __enter__(self):
        def trace(frame, *_):
            return self.local if frame.f_code.co_filename in (module.__file__, files.__file__) else None

        threading.settrace(trace)

    def local(self, frame, event, argument):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise OSError("injected")
        return self.local

    def __exit__(self, *_):
        threading.settrace(self.previous)


@pytest.mark.parametrize("function", ["fsync", "rename", "replace", "open"])
def test_a_failing_disk_leaves_the_last_good_one(folder, monkeypatch, function):
    save_checkpoint(folder, {"step": 1})
    original, fails_at = getattr(os, function), 0
    while True:
        fails_at += 1
        calls = 0

        def failing(*args, fails_at=fails_at, **kwargs):
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise OSError(28, "No space left on device")
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, failing)
            try:
                save_checkpoint(folder, {"step": 2})
            except OSError:
                saved = False
            else:
                saved = True
        assert load_state(folder)["step"] in (1, 2)
        if saved:
            break
    assert fails_at > 1, f"os.{function} was never called"
    assert load_state(folder)["step"] == 2


def damage(path, position):
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 0x10
    path.write_bytes(data)


def test_any_flipped_bit_is_found(folder):
    state = {"step": 5, "weights": torch.randn(50), "array": np.arange(50), "rate": 0.25, "name": "x"}
    path = save_checkpoint(folder, state)
    for file in ("tensors.safetensors", "state.json"):
        whole = (path / file).read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 60)):
            damage(path / file, position)
            try:
                loaded = load_state(folder)
            except CheckpointError as error:
                assert file in str(error)  # noqa: PT017 (white space in state.json may flip without harm)
            else:
                assert file == "state.json"
                assert same(loaded, state)
            (path / file).write_bytes(whole)
    assert same(load_state(folder), state)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_a_truncated_or_missing_file_is_named_with_the_way_out(folder, file):
    earlier = save_checkpoint(folder, {"step": 1})
    path = save_checkpoint(folder, {"step": 2, "weights": torch.ones(9), "array": np.ones(9)})
    data = (path / file).read_bytes()
    for found in (data[:-3], b""):
        (path / file).write_bytes(found)
        with pytest.raises(CheckpointError, match=file) as error:
            load_state(folder)
        assert str(earlier) in str(error.value)
    (path / file).unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        load_state(folder)


def test_missing_and_foreign_things_are_named(folder, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        load_state(folder)
    path = save_checkpoint(folder, {"step": 1})
    (folder / "latest").write_text("../../somewhere\n")
    with pytest.raises(CheckpointError, match=r"somewhere.*must name a checkpoint"):
        load_state(folder)
    (folder / "latest").write_text("step_000000099\n")
    with pytest.raises(CheckpointError, match="step_000000099") as error:
        load_state(folder)
    assert str(path) in str(error.value)
    for content in ("[]", "{}", '{"format": "other", "sha256": "0"}', "\xff\xfe", "[" * 100_000, '{"a": NaN}'):
        (path / "state.json").write_text(content, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"state\.json"):
            load_state(path)


def forge(path, change):
    """Rewrite state.json with valid checksums, as an attacker can."""
    document = json.loads((path / "state.json").read_text())
    for name in document["files"]:
        file = path / name
        document["files"][name] = {"size": file.stat().st_size, "sha256": files.sha256(file)}
    change(document)
    kind, version = document.pop("format"), document.pop("version")
    del document["sha256"]
    files.write_document(path / "state.json", kind, version, document)


def test_a_newer_format_asks_for_an_upgrade(folder):
    path = save_checkpoint(folder, {"step": 1})
    forge(path, lambda document: document.update(version=3))
    with pytest.raises(CheckpointError, match=r"version 3.*up to 2.*pip install -U hakisa"):
        load_state(folder)


def test_a_checkpoint_of_0_1_0_is_refused_in_one_clear_line(folder):
    path = save_checkpoint(folder, {"step": 1})
    old = {"format": "hakisa-checkpoint", "version": 1, "files": {}, "state": {"dict": {}}, "sha256": "0" * 64}
    (path / "state.json").write_text(json.dumps(old))
    with pytest.raises(
        CheckpointError, match=r"state\.json has format version 1, of an earlier Hakisa.*train again"
    ) as error:
        load_state(folder)
    assert "\n" not in str(error.value)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.environ["BOMB"],))


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """A folder that appears if anything unpickles a Bomb."""
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    yield tmp_path / "exploded"
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_a_pickle_in_place_of_a_file_is_refused_and_never_runs(folder, bomb, file):
    path = save_checkpoint(folder, {"step": 1, "array": np.ones(2)})
    (path / file).write_bytes(pickle.dumps(Bomb()))
    if file != "state.json":
        forge(path, lambda document: None)
    with pytest.raises(CheckpointError, match=r"does not decode|state\.json is damaged"):
        load_state(folder)


@pytest.mark.parametrize("crafted", [
    {"__reduce__": ["os.system", "true"]},
    {"tensor": "../../../etc/passwd"},
    {"tensor": {"a": 1}},
    {"array": "nothing"},
    {"bytes": 3},
    {"dict": [1]},
    {"tuple": 3},
    {"int": 5},
    {"pairs": [[["list"], 1]]},
    {"dict": {}, "tuple": []},
    {},
    [1, 2],
    "text",
])  # fmt: skip
def test_crafted_json_is_an_error_and_nothing_else(folder, crafted):
    path = save_checkpoint(folder, {"step": 1, "weights": torch.ones(2)})
    forge(path, lambda document: document.update(state=crafted))
    with pytest.raises(CheckpointError, match="does not decode"):
        load_state(folder)


@pytest.mark.parametrize("changes", [
    {"files": {}}, {"files": []}, {"files": {"tensors.safetensors": 1}}, {"rows": 1}, {"rows": [{}]},
    {"rows": [{"segments": [{"file": 1}]}]},
])  # fmt: skip
def test_crafted_lists_are_errors(folder, changes):
    path = save_checkpoint(folder, {"step": 1})
    forge(path, lambda document: document.update(changes))
    with pytest.raises(CheckpointError, match="does not decode"):
        load_state(folder)


def test_the_files_are_the_standard_formats(folder):
    path = save_checkpoint(folder, {"step": 1, "policy": {"net.weight": torch.ones(2)}, "ring": {"x": np.ones(3)}})
    assert set(safetensors.torch.load_file(path / "tensors.safetensors")) == {"policy.net.weight", "ring.x"}
    shutil.copytree(path, folder.parent / "step_000000001")  # a checkpoint can be copied away and loaded there
    assert load_state(folder.parent / "step_000000001")["step"] == 1
