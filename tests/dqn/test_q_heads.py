"""The additive Q of joint actions against brute force over all of them."""

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.policy.heads import ActionLayout
from hakisa_algos.policy.q_heads import QHeads
from hakisa_envs.spaces import ConditionalMultiDiscrete

SPACES = {
    "discrete": spaces.Discrete(5, start=-2),
    "multi_discrete": spaces.MultiDiscrete([3, 2, 5]),
    "multi_discrete_2d": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "multi_binary": spaces.MultiBinary((2, 2)),
    # Irrelevant heads, one with a single choice, and unequal sizes.
    "conditional": ConditionalMultiDiscrete([4, 6, 3], [[0, 0], [6, 0], [4, 3], [1, 2]]),
}
EVERY = pytest.mark.parametrize("name", SPACES)
DUELING = pytest.mark.parametrize("dueling", [False, True])


def made(name, dueling=False, batch=7):
    torch.manual_seed(0)
    heads = QHeads(ActionLayout.of(SPACES[name]), 8, dueling)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.randn(batch, 8)
    return heads, features, heads(features)


def canonical_actions(space):
    """Every meaningful joint action, each once."""
    if isinstance(space, spaces.Discrete):
        return [np.array(a) for a in range(space.start, space.start + space.n)]
    nvec = space.nvec.reshape(-1) if isinstance(space, spaces.MultiDiscrete) else [2] * int(np.prod(space.shape))
    every = [np.array(a) for a in itertools.product(*map(range, nvec))]
    if isinstance(space, ConditionalMultiDiscrete):
        every = [a for a in every if np.array_equal(space.canonical(a), a)]
    return [a.reshape(space.shape) for a in every]


def by_hand(heads, features, row, action):
    """The design's formula, written out for one row and one action."""
    flat = heads.values(features)[row].detach().numpy().astype(float)
    layout = heads.layout
    segments = np.split(flat, np.cumsum(layout.size)[:-1])
    choice = action.reshape(-1) - np.array(layout.start)
    q = segments[0][choice[0]]
    if heads.state_value is not None:
        q += heads.state_value(features)[row].item() - segments[0].mean()
    active = layout.active[choice[0]] if layout.conditional else layout.active[0]
    for s in range(1, len(layout.size)):
        if active[s]:
            q += segments[s][choice[layout.head[s]]] - segments[s].mean()
    return q


@EVERY
@DUELING
def test_q_is_the_designs_formula_and_greedy_the_best_of_all(name, dueling):
    heads, features, values = made(name, dueling)
    actions = canonical_actions(SPACES[name])
    table = np.array([[by_hand(heads, features, row, a) for a in actions] for row in range(len(features))])
    for i, action in enumerate(actions):
        batch = torch.from_numpy(np.stack([action] * len(features)))
        assert np.allclose(values.of(batch).detach(), table[:, i], atol=1e-5)
    assert np.allclose(values.max().detach(), table.max(1), atol=1e-5)
    best = np.stack([actions[i] for i in table.argmax(1)])
    assert np.array_equal(values.greedy(), best)


def test_arguments_past_their_range_wrap_and_irrelevant_ones_do_not_count():
    _, _, values = made("conditional")
    space = SPACES["conditional"]
    for action in itertools.product(range(4), range(6), range(3)):
        one, other = (torch.tensor(np.stack([a] * 7)) for a in (action, space.canonical(np.array(action))))
        assert torch.equal(values.of(one), values.of(other))


@EVERY
def test_gradients_are_finite_and_reach_the_chosen_segments(name):
    heads, features, values = made(name)
    action = torch.from_numpy(np.stack([SPACES[name].sample() for _ in range(7)]))
    (values.of(action).sum() + values.max().sum() + values.margin_loss(action, 0.5).sum()).backward()
    for parameter in heads.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0
    assert features.shape == (7, 8)


@EVERY
def test_the_margin_loss_is_the_best_raised_action_minus_the_shown_one(name):
    heads, features, values = made(name)
    space, actions = SPACES[name], canonical_actions(SPACES[name])
    layout = heads.layout
    rng = np.random.default_rng(0)
    shown = [actions[rng.integers(len(actions))] for _ in features]
    for row, demonstrated in enumerate(shown):
        raised = []
        for action in actions:
            one, other = action.reshape(-1), demonstrated.reshape(-1)
            if not layout.conditional:
                wrong = (one != other).sum()
            elif one[0] != other[0]:
                wrong = 1
            else:  # only heads that the demonstrated command makes relevant can differ: both are canonical
                wrong = sum(space.sizes[other[0], h] > 1 and one[h + 1] != other[h + 1] for h in range(2))
            raised.append(by_hand(heads, features, row, action) + 0.3 * wrong)
        loss = max(raised) - by_hand(heads, features, row, demonstrated)
        batch = torch.from_numpy(np.stack(shown))
        assert float(values.margin_loss(batch, 0.3)[row].detach()) == pytest.approx(loss, abs=1e-5)


@EVERY
def test_epsilon_0_is_greedy_and_epsilon_1_is_uniform_over_commands_then_arguments(name):
    _, _, values = made(name)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(values.explore(torch.tensor(0.0), generator), values.greedy())
    _, _, many = made(name, batch=40_000)
    drawn = many.explore(torch.tensor(1.0), generator).numpy()
    space = SPACES[name]
    assert all(space.contains(a if a.shape else a[()]) for a in drawn[:200])
    flat = drawn.reshape(len(drawn), -1)
    _, counts = np.unique(flat[:, 0], return_counts=True)
    assert np.allclose(counts / len(drawn), 1 / len(counts), atol=0.02)
    if name == "conditional":
        for command, sizes in enumerate(space.sizes):
            arguments = flat[flat[:, 0] == command, 1:]
            for head, size in enumerate(np.maximum(sizes, 1)):
                share = np.bincount(arguments[:, head], minlength=size) / len(arguments)
                assert np.allclose(share, 1 / size, atol=0.02)
                assert len(share) == size


def test_epsilon_acts_per_env_and_per_argument():
    heads, features, _ = made("conditional", batch=1)
    with torch.no_grad():
        heads.values.bias[2] += 100  # the greedy command is 2, whose arguments have 4 and 3 choices
    n = 40_000
    values = heads(features.expand(n, -1))
    drawn = values.explore(torch.tensor(0.2), torch.Generator().manual_seed(0)).numpy()
    greedy = values.greedy().numpy()
    assert (greedy[:, 0] == 2).all()
    # Were the coin tossed once for all rows, a batch would be all greedy or all random.
    assert (drawn[:, 0] != 2).mean() == pytest.approx(0.2 * 3 / 4, abs=0.01)
    same = drawn[:, 0] == 2
    for head, size in ((1, 4), (2, 3)):
        wrong = (drawn[same, head] != greedy[same, head]).mean()
        assert wrong == pytest.approx(0.2 * (size - 1) / size, abs=0.01)


def test_a_wide_screen_costs_its_sum_and_not_its_product():
    space = ConditionalMultiDiscrete([3, 1920, 1080], [[0, 0], [12, 0], [1920, 1080]])
    heads = QHeads(ActionLayout.of(space), 8)
    assert heads.values.out_features == 3 + 12 + 1920 + 1080
    drawn = heads(torch.zeros(2000, 8)).explore(torch.tensor(1.0), torch.Generator().manual_seed(0)).numpy()
    assert all(space.contains(a) and np.array_equal(space.canonical(a), a) for a in drawn[:500])
    clicks = drawn[drawn[:, 0] == 2]
    assert clicks[:, 1].max() > 1800
    assert clicks[:, 2].max() > 1000
