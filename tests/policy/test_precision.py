"""Half precision stays close to single, is chosen where it pays, and leaves heads and values alone."""

import os

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.policy import ActorCritic
from hakisa_algos.policy.precision import make_repeatable, resolve_bf16, resolve_device, resolve_threads, torch_threads

CPU = torch.device("cpu")
VECTOR = spaces.Box(-1, 1, (5,), np.float32)
PICTURE = spaces.Box(0, 255, (4, 42, 42), np.uint8)
KEYED = spaces.Dict({"a": VECTOR, "b": PICTURE})


@pytest.mark.parametrize(("space", "network"), [(VECTOR, "mlp"), (PICTURE, "nature"), (PICTURE, "small")])
def test_bf16_is_close_to_fp32_and_gives_single_precision(space, network):
    torch.manual_seed(0)
    single = ActorCritic(space, spaces.MultiDiscrete([4, 3]), network=network)
    half = ActorCritic(space, spaces.MultiDiscrete([4, 3]), network=network, bf16=True)
    half.load_state_dict(single.state_dict())
    with torch.no_grad():
        for heads in (single.heads, half.heads):
            heads.linear.weight.mul_(100)  # the first policy is uniform, which hides every difference
    batch = torch.from_numpy(np.stack([space.sample() for _ in range(64)]))
    (a, v), (b, w) = single(batch), half(batch)
    assert b.log_probs.dtype == w.dtype == torch.float32
    torch.testing.assert_close(a.log_probs.exp(), b.log_probs.exp(), atol=0.03, rtol=0)
    torch.testing.assert_close(v, w, atol=0.05, rtol=0.05)
    assert not torch.equal(v, w)
    b.entropy().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in half.parameters() if p.grad is not None)


def test_which_precision_auto_is(monkeypatch):
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda supported=supported: supported)
        assert resolve_bf16("auto", CPU, PICTURE) is supported
        assert resolve_bf16("auto", CPU, KEYED) is supported
        assert resolve_bf16("auto", CPU, VECTOR) is False
        assert resolve_bf16("bf16", CPU, VECTOR) is True
        assert resolve_bf16("fp32", CPU, PICTURE) is False


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match=r"precision='bf61' is unknown\. Did you mean 'bf16'"):
        resolve_bf16("bf61", CPU, PICTURE)


def test_which_device_auto_is(monkeypatch):
    for gpu in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        assert resolve_device("auto", PICTURE).type == ("cuda" if gpu else "cpu")
        assert resolve_device("auto", VECTOR).type == "cpu"
        assert resolve_device("cpu", PICTURE).type == "cpu"


def test_a_gpu_repeats_itself(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    make_repeatable(CPU)
    assert torch.backends.cudnn.deterministic is False
    make_repeatable(torch.device("cuda"))
    assert torch.backends.cudnn.deterministic is True


def test_threads():
    assert resolve_threads(7, VECTOR) == 7
    assert resolve_threads(None, VECTOR) == 1
    assert resolve_threads(None, PICTURE) == len(os.sched_getaffinity(0))


def test_threads_are_put_back_whatever_happens():
    before = torch.get_num_threads()

    def fail():
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before
