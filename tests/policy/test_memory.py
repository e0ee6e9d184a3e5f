"""A memory computed over whole chunks is the same as step by step: outputs, states and gradients."""

import pytest
import torch

from hakisa_algos.policy.memory import Memory

LENGTH, BATCH, INPUTS, WIDTH = 13, 5, 7, 6


def step_by_step(memory, inputs, state, start):
    outputs = []
    for row, begins in zip(inputs, start, strict=True):
        state = {name: entries * ~begins[:, None] for name, entries in state.items()}
        out, state = memory.run(row[None], state)
        outputs.append(out[0])
    return torch.stack(outputs), state


@pytest.fixture(params=["lstm", "gru"])
def memory(request):
    torch.manual_seed(3)
    made = Memory(request.param, INPUTS, WIDTH, 8)
    with torch.no_grad():  # biases too, which are 0 at first
        for parameter in made.parameters():
            parameter.normal_(0, 0.5)
    return made


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_chunk_is_its_rows_one_by_one_with_episodes_that_begin_anywhere(memory, share):
    generator = torch.Generator().manual_seed(int(share * 10))
    inputs = torch.randn(LENGTH, BATCH, INPUTS, generator=generator)
    start = torch.rand(LENGTH, BATCH, generator=generator) < share
    state = {name: torch.randn(BATCH, WIDTH, generator=generator) for name in memory.initial_state(1)}
    weights = torch.randn(LENGTH, BATCH, WIDTH, generator=generator)
    before = {name: entries.clone() for name, entries in state.items()}

    whole, single = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    out = memory(whole, state, start)
    expected, last = step_by_step(memory, single, state, start)
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)
    after = memory.after(inputs, state, start)
    assert after.keys() == last.keys()
    for name in after:
        torch.testing.assert_close(after[name], last[name], rtol=1e-6, atol=1e-6)

    parameters = list(memory.parameters())
    ours = torch.autograd.grad((out * weights).sum(), [whole, *parameters])
    theirs = torch.autograd.grad((expected * weights).sum(), [single, *parameters])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_no_gradient_runs_into_the_episode_before(memory):
    inputs = torch.randn(LENGTH, BATCH, INPUTS, requires_grad=True)
    start = torch.zeros(LENGTH, BATCH, dtype=torch.bool)
    start[6, 2] = True
    (gradient,) = torch.autograd.grad(memory(inputs, memory.initial_state(BATCH), start)[-1].sum(), [inputs])
    assert (gradient[:6, 2] == 0).all()
    assert (gradient[6:, 2] != 0).any()
    assert (gradient[:6, 1] != 0).any()


def test_what_begins_remembers_nothing(memory):
    inputs = torch.randn(1, BATCH, INPUTS)
    state = {name: torch.randn(BATCH, WIDTH) for name in memory.initial_state(1)}
    everywhere, nowhere = torch.ones(1, BATCH, dtype=torch.bool), torch.zeros(1, BATCH, dtype=torch.bool)
    fresh = memory(inputs, memory.initial_state(BATCH), nowhere)
    assert torch.equal(memory(inputs, state, everywhere), fresh)
    assert not torch.allclose(memory(inputs, state, nowhere), fresh)
