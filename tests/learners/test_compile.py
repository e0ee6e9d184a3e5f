"""``compile=True`` computes what the plain path computes, and where it cannot compile it says so and goes on."""

import copy
import logging

import pytest
import torch

from hakisa_algos.policy.compilation import Compiled
from tests.helpers.learning import assert_same, make_loop

# torch's own.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled:UserWarning"),
]

PIXELS = {"observation": "pixels", "grid_size": 9}
CASES = {
    "discrete, the last minibatch smaller": ("CartPole-v1", None, {"minibatch_size": 24}),
    "conditional": ("Hakisa/Press-v0", None, {"entropy_coefficient": 0.01}),
    "normalised bf16 pixels": (
        "Hakisa/Press-v0",
        PIXELS,
        {"network": "small", "precision": "bf16", "normalize_observation": True, "value_clip": 0.2},
    ),
}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def both(case, **changes):
    env, options, settings = CASES[case]
    pair = [make_loop(env, options=options, compile=on, **(settings | changes)) for on in (False, True)]
    compiled = pair[1].learner
    assert isinstance(compiled._differentiate, Compiled)
    return pair


def fallbacks(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "hakisa_algos.policy.compilation"]


@pytest.mark.parametrize("case", CASES)
def test_compiled_and_plain_agree(case, caplog):
    """Same weights, same rollout: the same decisions, metrics and new weights, but for rounding."""
    plain, compiled = both(case)
    half = "bf16" in case
    for _ in range(2):
        plain.collect()
        compiled.collect()
        for name in ("action", "reward", "terminated"):
            assert (plain.buffer._arrays[name] == compiled.buffer._arrays[name]).all()
        for name in {"log_prob", "value"} & set(plain.buffer._arrays):
            torch.testing.assert_close(
                *(torch.from_numpy(each.buffer._arrays[name]) for each in (compiled, plain)),
                rtol=0,
                atol=2e-2 if half else 2e-5,
            )
        expected, found = plain.learner.update(plain.buffer), compiled.learner.update(compiled.buffer)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=5e-2 if half else 1e-3, abs=2e-2 if half else 1e-5), name
        if half:
            break  # from here on rounding may decide an action
    before = make_loop(*CASES[case][:1], options=CASES[case][1], **CASES[case][2]).learner.policy.state_dict()
    for name, weight in plain.learner.policy.state_dict().items():
        moved = (weight - before[name]).float().norm()
        assert (compiled.learner.policy.state_dict()[name] - weight).float().norm() <= (0.2 if half else 1e-3) * moved
    assert not fallbacks(caplog)


def test_a_schedule_compiles_nothing_anew(caplog):
    """A number that changes with every update would be a new program each time."""
    _, loop = both("conditional", clip_schedule="linear", entropy_schedule="linear", total_steps=1000)
    loop.step()
    torch._dynamo.utils.counters.clear()
    for _ in range(4):
        loop.step()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0
    assert not fallbacks(caplog)


def test_the_same_seed_gives_the_same_weights_and_a_copy_of_the_state_goes_on_alike():
    _, first = both("discrete, the last minibatch smaller")
    _, second = both("discrete, the last minibatch smaller")
    for loop in (first, second):
        for _ in range(2):
            loop.step()
    assert_same(first.learner.state(), second.learner.state())
    _, third = both("discrete, the last minibatch smaller")
    third.learner.load_state(copy.deepcopy(first.learner.state()))
    third.learner.update(first.buffer)
    first.learner.update(first.buffer)
    assert_same(third.learner.state(), first.learner.state())


def test_without_a_compiler_it_runs_eagerly_and_says_so(caplog):
    import torch._inductor.config

    # With its caches it would need no compiler. Its own patch: what monkeypatch puts back is gone for later tests.
    broken = torch._inductor.config.patch({"force_disable_caches": True, "cpp.cxx": ("no-such-compiler",)})
    plain, compiled = both("discrete, the last minibatch smaller")
    with broken, caplog.at_level(logging.WARNING):
        for _ in range(2):
            expected, found = plain.step(), compiled.step()
    assert_same(found, expected)
    assert_same(compiled.learner.state(), plain.learner.state())
    warned = fallbacks(caplog)
    assert ["_gradient runs eagerly" in text for text in warned] == [True]  # acting is NumPy's here
    assert all("No working C++ compiler" in text for text in warned)
