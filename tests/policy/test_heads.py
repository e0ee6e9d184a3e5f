"""Every quantity of a head equals what counting through all meaningful actions gives, in plain Python."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.heads import ActionHeads, ActionLayout
from hakisa_envs.spaces import ConditionalMultiDiscrete

SPACES = {
    "discrete": spaces.Discrete(5),
    "discrete from -2": spaces.Discrete(4, start=-2),
    "one choice": spaces.Discrete(1),
    "multi-discrete": spaces.MultiDiscrete([3, 2, 4]),
    "multi-discrete with starts": spaces.MultiDiscrete([3, 2], start=[10, -1]),
    "multi-discrete in two dimensions": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "multi-binary": spaces.MultiBinary(3),
    "multi-binary in two dimensions": spaces.MultiBinary((2, 2)),
    "conditional": ConditionalMultiDiscrete([4, 5, 3], [[0, 0], [5, 0], [4, 3], [1, 2]]),
    "conditional, one command": ConditionalMultiDiscrete([1, 3], [[3]]),
    "conditional, no arguments": ConditionalMultiDiscrete([3, 4], [[0], [0], [1]]),
}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
BATCH = 3


def random_logits(layout, seed, scale=1.5):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(BATCH, sum(layout.size), generator=generator)


def softmax(values):
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def enumerated(space, row):
    """``{canonical action as a flat tuple: probability}`` from flat logits, in the order that ActionHeads states."""
    logits = iter(row)
    take = lambda n: softmax(list(itertools.islice(logits, n)))  # noqa: E731
    sizes = getattr(space, "sizes", None)
    joint = {}
    if sizes is None:
        if isinstance(space, spaces.Discrete):
            counts, starts = [int(space.n)], [int(space.start)]
        elif isinstance(space, spaces.MultiBinary):
            counts = [2] * int(np.prod(space.shape))
            starts = [0] * len(counts)
        else:
            counts, starts = space.nvec.reshape(-1).tolist(), space.start.reshape(-1).tolist()
        heads = [take(n) for n in counts]
        for choice in itertools.product(*map(range, counts)):
            action = tuple(c + s for c, s in zip(choice, starts, strict=True))
            joint[action] = math.prod(head[c] for head, c in zip(heads, choice, strict=True))
        return joint
    commands = take(int(space.nvec[0]))
    arguments = {(c, h): take(int(n)) for c, row_of in enumerate(sizes) for h, n in enumerate(row_of) if n > 1}
    for c, share in enumerate(commands):
        for choice in itertools.product(*(range(max(int(n), 1)) for n in sizes[c])):
            joint[c, *choice] = share * math.prod(
                arguments[c, h][a] for h, a in enumerate(choice) if (c, h) in arguments
            )
    return joint


def setting(space, seed=0, scale=1.5):
    layout = ActionLayout.of(space)
    heads = ActionHeads(layout, features=4)
    logits = random_logits(layout, seed, scale)
    return heads, heads.distribution(logits), [enumerated(space, row.tolist()) for row in logits]


def as_actions(space, flat):
    return torch.tensor(flat).reshape(len(flat), *(space.shape or ()))


@every_space
def test_log_prob_and_the_whole_probability(space):
    _, distribution, joints = setting(space)
    for action in joints[0]:
        found = distribution.log_prob(as_actions(space, [action] * BATCH))
        assert found.tolist() == pytest.approx([math.log(joint[action]) for joint in joints], abs=1e-5)
    assert sum(joints[0].values()) == pytest.approx(1)


@every_space
def test_entropy(space):
    _, distribution, joints = setting(space)
    expected = [-sum(p * math.log(p) for p in joint.values()) for joint in joints]
    assert distribution.entropy().tolist() == pytest.approx(expected, abs=1e-5)


@every_space
def test_samples_come_as_often_as_their_probability(space):
    heads, _, _ = setting(space)
    logits = random_logits(heads.layout, seed=2)[:1]
    joint = enumerated(space, logits[0].tolist())
    draws = 40_000
    noise = heads.noise(draws, torch.Generator().manual_seed(0))
    drawn, _ = heads.distribution(logits.expand(draws, -1)).draw(noise)
    assert drawn.shape == (draws, *(space.shape or ()))
    counts = Counter(map(tuple, drawn.reshape(draws, -1).tolist()))
    assert set(counts) <= set(joint)
    for action, p in joint.items():
        assert abs(counts[action] / draws - p) < 5 * math.sqrt(p * (1 - p) / draws) + 1e-9, action
    assert space.contains(drawn[0].numpy().astype(space.dtype).reshape(space.shape or ())[()])


@every_space
def test_sampling_is_reproducible(space):
    heads, distribution, _ = setting(space)
    first, again = (distribution.draw(heads.noise(BATCH, torch.Generator().manual_seed(3)))[0] for _ in range(2))
    assert torch.equal(first, again)


@every_space
def test_what_is_drawn_has_the_log_probability_that_it_comes_with(space):
    heads, _, _ = setting(space)
    features = torch.randn(500, heads.linear.in_features, generator=torch.Generator().manual_seed(5))
    torch.nn.init.normal_(heads.linear.weight, generator=torch.Generator().manual_seed(6))
    noise = heads.noise(500, torch.Generator().manual_seed(7))
    drawn, log_prob = heads(features).draw(noise)
    torch.testing.assert_close(log_prob, heads(features).log_prob(drawn))


@every_space
def test_mode_is_the_best_command_and_then_its_best_arguments(space):
    heads, distribution, joints = setting(space, scale=3)
    found = [tuple(row) for row in distribution.mode().reshape(BATCH, -1).tolist()]
    for action, joint in zip(found, joints, strict=True):
        if not heads.layout.conditional:
            assert joint[action] == max(joint.values())
            continue
        commands = defaultdict(float)
        for a, p in joint.items():
            commands[a[0]] += p
        best = max(commands, key=commands.get)
        assert action == max((a for a in joint if a[0] == best), key=joint.get)


@every_space
def test_log_choices_is_the_entropy_of_the_uniform_policy(space):
    layout = ActionLayout.of(space)
    count = len(enumerated(space, [0.0] * sum(layout.size)))
    assert layout.log_choices == pytest.approx(math.log(count))


@every_space
def test_the_first_policy_is_nearly_uniform(space):
    torch.manual_seed(0)
    heads = ActionHeads(ActionLayout.of(space), features=16)
    distribution = heads(torch.randn(4, 16))
    flat = heads.distribution(torch.zeros(4, sum(heads.layout.size)))
    torch.testing.assert_close(distribution.log_probs.exp(), flat.log_probs.exp(), atol=0.02, rtol=0)


@every_space
@pytest.mark.parametrize("scale", [1.5, 200.0], ids=["usual", "extreme"])
def test_gradients_are_finite(space, scale):
    heads, _, joints = setting(space)
    logits = (scale * torch.randn(BATCH, sum(heads.layout.size))).requires_grad_()
    distribution = heads.distribution(logits)
    actions = as_actions(space, list(itertools.islice(itertools.cycle(joints[0]), BATCH)))
    terms = [distribution.log_prob(actions), distribution.entropy(), distribution.entropy_bonus()]
    for term in terms:
        assert term.isfinite().all()
        (gradient,) = torch.autograd.grad(term.sum(), logits, retain_graph=True, allow_unused=True)
        assert gradient is None or gradient.isfinite().all()


def test_only_relevant_logits_have_a_gradient():
    heads, _, _ = setting(SPACES["conditional"])
    logits = torch.randn(1, sum(heads.layout.size), requires_grad=True)
    heads.distribution(logits).log_prob(torch.tensor([[1, 2, 0]])).sum().backward()
    touched = logits.grad[0] != 0
    # Segments in order: 4 commands; 5 of command 1; 4 and 3 of command 2; 2 of command 3.
    assert touched.tolist() == [True] * 9 + [False] * 9


def test_any_action_stands_for_its_canonical_one():
    space = SPACES["conditional"]
    _, distribution, _ = setting(space)
    for action in itertools.product(range(4), range(5), range(3)):
        meant = space.canonical(np.array(action))
        a, b = (distribution.log_prob(torch.tensor(np.array([x] * BATCH))) for x in (action, meant))
        assert torch.equal(a, b), action


def test_entropy_bonus_is_the_entropy_on_plain_spaces():
    for name, space in SPACES.items():
        if "conditional" not in name:
            _, distribution, _ = setting(space)
            assert torch.equal(distribution.entropy_bonus(), distribution.entropy())


def test_entropy_bonus_on_a_conditional_space():
    space = SPACES["conditional"]
    heads, _, _ = setting(space)
    logits = random_logits(heads.layout, seed=5).requires_grad_()
    bonus = heads.distribution(logits).entropy_bonus()

    def entropy(p):
        return -sum(x * math.log(x) for x in p)

    for row, found in zip(logits.tolist(), bonus.tolist(), strict=True):
        commands, keys, x, y, two = (softmax(row[a:b]) for a, b in ((0, 4), (4, 9), (9, 13), (13, 16), (16, 18)))
        expected = entropy(commands) / math.log(4)
        expected += commands[1] * entropy(keys) / math.log(5)
        expected += commands[2] * (entropy(x) / math.log(4) + entropy(y) / math.log(3)) / 2
        expected += commands[3] * entropy(two) / math.log(2)
        assert found == pytest.approx(expected, abs=1e-5)
    # The arguments' entropies must not teach which command to give: only the first term moves the commands.
    (gradient,) = torch.autograd.grad(bonus.sum(), logits)
    alone = -(torch.log_softmax(logits[:, :4], -1) * torch.softmax(logits[:, :4], -1)).sum() / math.log(4)
    (expected,) = torch.autograd.grad(alone, logits)
    torch.testing.assert_close(gradient[:, :4], expected[:, :4])
    assert (gradient[:, 4:] != 0).any()


def test_the_uniform_policy_has_the_largest_bonus():
    heads, _, _ = setting(SPACES["conditional"])
    uniform = heads.distribution(torch.zeros(1, 18)).entropy_bonus().item()
    assert uniform == pytest.approx(1 + 3 / 4)  # three of the four commands have arguments
    assert (heads.distribution(random_logits(heads.layout, 7)).entropy_bonus() < uniform).all()


def test_heads_compute_in_single_precision_whatever_the_network_gives():
    heads, _, _ = setting(SPACES["conditional"])
    features = torch.randn(BATCH, 4).bfloat16()
    assert heads(features).log_probs.dtype == torch.float32
    torch.testing.assert_close(heads(features).log_probs, heads(features.float()).log_probs)


@pytest.mark.parametrize(
    "space", [spaces.Box(-1, 1, (2,)), spaces.Dict({"a": spaces.Discrete(2)}), spaces.Text(3)], ids=repr
)
def test_other_spaces_are_refused(space):
    with pytest.raises(ConfigError, match=r"not supported.*Discrete, MultiDiscrete.*Wrap the env") as caught:
        ActionLayout.of(space)
    assert str(space) in str(caught.value)


@pytest.mark.parametrize("sizes", [[[0], [3]], [[0, 0], [4, 2]], [[0, 0], [-1, 2]], [[0, 0]], [0, 0, 0, 0]], ids=str)
def test_a_table_that_does_not_fit_is_refused(sizes):
    space = spaces.MultiDiscrete([2, 3, 2])
    space.sizes = np.array(sizes)
    with pytest.raises(ConfigError, match=r"does not fit nvec \[2, 3, 2\]: it needs shape \(2, 2\)"):
        ActionLayout.of(space)


def test_a_table_from_anywhere_is_read():
    space = spaces.MultiDiscrete([2, 3])
    space.sizes = [[0], [3]]
    ours = ConditionalMultiDiscrete([2, 3], [[0], [3]])
    assert ActionLayout.of(space) == ActionLayout.of(ours)
    assert ActionLayout.of(space) != ActionLayout.of(spaces.MultiDiscrete([2, 3]))
