"""What a mask forbids is never done and never counted on, whoever acts and whatever the space."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.data.replay import Transitions
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.dqn import DQNConfig, DQNLearner
from hakisa_algos.learners.pqn import PQNConfig, PQNLearner
from hakisa_algos.policy.greedy import GreedyPolicy
from hakisa_algos.policy.heads import ActionHeads, ActionLayout
from hakisa_algos.policy.masks import MaskForm
from hakisa_algos.policy.observations import MASK, ObservationLayout, split_mask
from hakisa_algos.policy.policy import ActorCritic
from hakisa_algos.policy.population import Population
from hakisa_algos.policy.q_network import QNetwork
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_envs.spaces import ConditionalMultiDiscrete
from tests.helpers.masked import CONDITIONAL

VECTOR = spaces.Box(-3, 3, (3,), np.float32)
SPACES, ROWS = 100, 1_000


def random_space(rng):
    kind = rng.integers(5)
    if kind == 0:
        return spaces.Discrete(int(rng.integers(1, 12)), start=int(rng.integers(-3, 4)))
    if kind == 1:
        return spaces.MultiDiscrete(rng.integers(1, 6, rng.integers(1, 5)))
    if kind == 2:
        return spaces.MultiBinary(int(rng.integers(1, 6)))
    if kind == 3:
        return spaces.MultiDiscrete(rng.integers(1, 5, (2, 2)))
    nvec = rng.integers(1, 7, rng.integers(2, 5))
    return ConditionalMultiDiscrete(nvec, rng.integers(0, nvec[1:] + 1, (nvec[0], len(nvec) - 1)))


def allowed(space, masks, actions):
    """Whether ``masks``, bool ``[n, entries]``, allow the canonical ``actions``: one head after the other, by hand."""
    n = len(masks)
    choice = np.asarray(actions).reshape(n, -1)
    rows = np.arange(n)
    if not isinstance(space, ConditionalMultiDiscrete):
        if isinstance(space, spaces.Discrete):
            counts, choice = [int(space.n)], choice - space.start
        else:
            counts = [2] * space.n if isinstance(space, spaces.MultiBinary) else space.nvec.reshape(-1).tolist()
        offsets = np.cumsum([0, *counts[:-1]])
        return np.all([masks[rows, o + choice[:, h]] for h, o in enumerate(offsets)], axis=0)
    fine = masks[rows, choice[:, 0]]
    offset = int(space.nvec[0])
    for command in range(int(space.nvec[0])):
        for head, size in enumerate(space.sizes[command].tolist(), start=1):
            if size > 1:
                own = choice[:, 0] == command
                fine[own] &= masks[own, offset + choice[own, head]]
                offset += size
    assert offset == masks.shape[1]
    return fine


def possible(space, masks):
    """How many actions are allowed, of all that there are."""
    if isinstance(space, spaces.Discrete):
        every = [np.array(space.start + i) for i in range(space.n)]
    else:
        nvec = np.full(space.n, 2) if isinstance(space, spaces.MultiBinary) else space.nvec
        every = [np.array(a).reshape(nvec.shape) for a in np.ndindex(*nvec.reshape(-1).tolist())]
        if isinstance(space, ConditionalMultiDiscrete):
            every = [a for a in every if np.array_equal(space.canonical(a), a)]
    return np.sum([allowed(space, masks, np.broadcast_to(a, (len(masks), *a.shape))) for a in every], axis=0)


def random_masks(space, rng, n):
    """As envs give them, and as a policy gets them; of rows where nothing is possible everything."""
    form = MaskForm(space)
    given = rng.random((n, form.size)) < rng.choice([0.1, 0.4, 0.8], (n, 1))
    closed = form.closed(given.copy())
    return given, closed


def loud(module):
    """Networks whose outputs differ by so much that what is forbidden is mostly what they want."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=3)
    return module


def cases(seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(SPACES):
        space = random_space(rng)
        given, closed = random_masks(space, rng, ROWS)
        nothing = ~closed.any(1)
        given[nothing] = closed[nothing] = True
        observation = {"": torch.from_numpy(rng.normal(size=(ROWS, 3)).astype(np.float32)), MASK: torch.tensor(closed)}
        yield space, given, observation


def test_closing_leaves_a_row_something_exactly_where_something_is_possible():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(SPACES):
        space = random_space(rng)
        if np.prod(ActionLayout.of(space).nvec) > 300:
            continue
        given, closed = random_masks(space, rng, 100)
        expected = possible(space, given) > 0
        np.testing.assert_array_equal(closed.any(1), expected)
        assert not (closed & ~given).any()
        seen |= set(expected.tolist())
    assert seen == {True, False}


@pytest.mark.parametrize("own_network", [False, True], ids=["in NumPy", "in torch"])
def test_an_actor_never_draws_nor_prefers_what_is_forbidden(own_network):
    network = (lambda space: Plain()) if own_network else "auto"
    generator = torch.Generator().manual_seed(0)
    for space, given, observation in cases():
        policy = loud(ActorCritic(VECTOR, space, hidden_sizes=(4,), network=network))
        assert (policy._small is None) == own_network
        for explore in (True, False):
            decision = policy.act(observation, {}, explore, generator)
            assert allowed(space, given, decision.action.numpy()).all()
        judged = policy.judge(observation, decision.action)
        assert (judged["log_prob"] > -1e6).all()


class Plain(torch.nn.Module):
    features = 3

    def forward(self, observation):
        assert not isinstance(observation, dict)  # masks are not for networks
        return observation


@pytest.mark.parametrize("options", [{}, {"dueling": True, "layer_norm": True}], ids=["plain", "dueling"])
def test_q_values_never_choose_draw_or_expect_what_is_forbidden(options):
    generator = torch.Generator().manual_seed(0)
    for space, given, observation in cases(2):
        policy = loud(QNetwork(VECTOR, space, hidden_sizes=(4,), keep_value=True, **options))
        for epsilon in (0.0, 0.5, 1.0):
            policy.epsilon.fill_(epsilon)
            decision = policy.act(observation, {}, True, generator)
            assert allowed(space, given, decision.action.numpy()).all()
        best = policy.act(observation, {}, False, generator).action
        assert allowed(space, given, best.numpy()).all()
        values = policy(observation).of(best)
        torch.testing.assert_close(values, policy.value(observation), rtol=1e-5, atol=1e-4)
        # And there is nothing better among many others that are allowed.
        policy.epsilon.fill_(1.0)
        other = policy.act(observation, {}, True, generator)
        assert (policy(observation).of(other.action) <= values + 1e-3).all()
        torch.testing.assert_close(other.extras["value"], values, rtol=1e-5, atol=1e-4)


def test_individuals_and_chance_do_nothing_that_is_forbidden():
    for space, given, observation in cases(3):
        network = loud(GreedyPolicy(VECTOR, space, hidden_sizes=()))
        assert allowed(space, given, network.act(observation, {}, True, None).action.numpy()).all()
        chance = RandomPolicy(VECTOR, space, masked=True)
        chance.seed(1)
        assert allowed(space, given, chance.act(observation, {}, True, None).action.numpy()).all()

        size = sum(parameter.numel() for parameter in network.parameters())
        weights = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32) * 3
        population = Population(network, [0, 1, 2] * 50, lambda i, w=weights: w[i], lambda game, episode: 0)
        seats = population.begin(torch.ones(150, dtype=torch.bool), population.initial_state(150))
        few = {key: entry[:150] for key, entry in observation.items()}
        assert allowed(space, given[:150], population.act(few, seats, True, None).action.numpy()).all()


def test_epsilon_and_chance_are_even_among_what_is_allowed():
    mask = np.array([[True, True, False] + [True, False, True, False] + [True] * 3])  # commands 0 and 1, keys 0 and 2
    n = 40_000
    observation = {"": torch.zeros(n, 3), MASK: torch.from_numpy(MaskForm(CONDITIONAL).closed(mask)).expand(n, -1)}
    network, chance = QNetwork(VECTOR, CONDITIONAL, hidden_sizes=(4,)), RandomPolicy(VECTOR, CONDITIONAL, masked=True)
    chance.seed(3)
    for policy in (network, chance):
        drawn = policy.act(observation, {}, True, torch.Generator().manual_seed(0)).action
        actions, counts = np.unique(drawn.numpy(), axis=0, return_counts=True)
        assert actions.tolist() == [[0, 0, 0], [1, 0, 0], [1, 2, 0]]
        np.testing.assert_allclose(counts / n, [0.5, 0.25, 0.25], atol=0.01)


def test_a_masked_distribution_is_the_plain_one_given_that_nothing_forbidden_happens():
    space = spaces.MultiDiscrete([3, 4])
    heads = ActionHeads(ActionLayout.of(space), 3)
    logits = torch.randn(6, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[1, 0, 1, 0, 1, 1, 0]] * 6, dtype=torch.bool)
    plain, masked = heads.distribution(logits), heads.distribution(logits, mask)
    every = torch.tensor([[a, b] for a in (0, 2) for b in (1, 2)])
    for row in range(6):
        where = torch.full((4,), row)
        one = ActionHeads.distribution(heads, logits[where]).log_prob(every)
        two = ActionHeads.distribution(heads, logits[where], mask[where]).log_prob(every)
        torch.testing.assert_close(two, one - one.logsumexp(0))
        torch.testing.assert_close(masked.entropy()[row], -(two.exp() * two).sum())
    assert (plain.entropy() > masked.entropy()).all()
    loss = masked.entropy_bonus().sum() + masked.log_prob(every[:1].expand(6, -1)).sum()
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).any()


def test_the_uniform_policy_is_that_over_what_is_allowed():
    rng = np.random.default_rng(4)
    for _ in range(30):
        space = random_space(rng)
        given, closed = random_masks(space, rng, 50)
        count = possible(space, given)
        heads = ActionHeads(ActionLayout.of(space), 3)
        given_mask = torch.from_numpy(closed[count > 0])
        distribution = heads.distribution(torch.randn(given_mask.shape), given_mask)
        torch.testing.assert_close(distribution.log_choices().exp().numpy(), count[count > 0].astype(np.float32))


def test_noise_that_would_let_anything_win_is_never_drawn(monkeypatch):
    heads = ActionHeads(ActionLayout.of(spaces.Discrete(3)), 3)
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.zero_())
    noise = heads.noise(5, masked=True)
    mask = torch.tensor([[False, True, False]] * 5)
    assert heads.distribution(torch.zeros(5, 3), mask).draw(noise)[0].tolist() == [1] * 5


def transitions(space, seed, n=400):
    """Of one step, whose next observations have random masks."""
    rng = np.random.default_rng(seed)
    _, closed = random_masks(space, rng, n)
    closed |= ~closed.any(1, keepdims=True)
    action = torch.from_numpy(np.stack([space.sample() for _ in range(n)]))

    def seen(mask):
        return {"": torch.from_numpy(rng.normal(size=(n, 3)).astype(np.float32)), MASK: torch.from_numpy(mask)}

    everything = np.ones_like(closed)
    return Transitions(
        seen(everything), action, torch.zeros(n, 1), torch.ones(n, dtype=torch.int64), seen(closed),
        torch.zeros(n, dtype=torch.bool), torch.ones(n), torch.arange(n),
    )  # fmt: skip


@pytest.mark.parametrize("space", [spaces.Discrete(6), spaces.MultiDiscrete([3, 4]), CONDITIONAL], ids=str)
@pytest.mark.parametrize("double", [True, False])
def test_dqn_never_bootstraps_from_what_is_forbidden(space, double):
    config = DQNConfig(action_masks=True, n_step=1, double=double, gamma=1.0, hidden_sizes=(8,))
    learner = DQNLearner(VECTOR, space, config, num_envs=1, seed=0, device=torch.device("cpu"))
    loud(learner.policy)
    loud(learner.target)
    batch = transitions(space, 5)
    observation, mask = split_mask(batch.next_observation)
    rows = [np.array(a) for a in np.ndindex(*ActionLayout.of(space).nvec)]
    joint = np.stack([a.reshape(space.shape) if space.shape else a[0] for a in rows])
    every = {"online": [], "target": []}
    for action in joint:
        repeated = torch.from_numpy(np.broadcast_to(action, (len(batch), *action.shape)).copy())
        fine = torch.from_numpy(allowed(space, mask.numpy(), space_canonical(space, repeated.numpy())))
        for name, network in (("online", learner.policy), ("target", learner.target)):
            with torch.no_grad():
                value = network(observation).of(repeated)
            every[name].append(torch.where(fine, value, -torch.inf))
    online, target = torch.stack(every["online"]), torch.stack(every["target"])
    chosen = (online if double else target).argmax(0)
    expected = target.gather(0, chosen[None])[0]
    torch.testing.assert_close(learner.targets(batch), expected, rtol=1e-4, atol=1e-4)


def space_canonical(space, actions):
    return space.canonical(actions) if isinstance(space, ConditionalMultiDiscrete) else actions


def test_pqn_values_what_follows_by_what_is_allowed():
    config = PQNConfig(action_masks=True, hidden_sizes=(8,))
    learner = PQNLearner(VECTOR, spaces.Discrete(6), config, num_envs=1, seed=0, device=torch.device("cpu"))
    loud(learner.policy)
    observation, mask = split_mask(transitions(spaces.Discrete(6), 1).next_observation)
    with torch.no_grad():
        table = learner.policy(observation).table[:, 0]
    expected = torch.where(mask, table, -torch.inf).max(1).values
    torch.testing.assert_close(learner.policy.value({"": observation, MASK: mask}), expected)
    assert not torch.allclose(expected, table.max(1).values)


def test_the_key_of_masks_is_nobody_elses():
    layout = ObservationLayout(spaces.Dict({"action_mask": VECTOR, "a": VECTOR}), 4)
    raw = {"a": np.zeros((2, 3)), "action_mask": np.ones((2, 3))}
    mask = np.array([[True, False, True, True]] * 2)
    seen, split = split_mask(layout.encode(raw, mask))
    assert sorted(seen) == ["a", "action_mask"]
    np.testing.assert_array_equal(seen["action_mask"], np.ones((2, 3)))
    np.testing.assert_array_equal(split, mask)
    assert split_mask(layout.encode(raw))[1] is None
    for key in (MASK, ""):
        with pytest.raises(ConfigError, match="rename it"):
            ObservationLayout(spaces.Dict({key: VECTOR, "a": VECTOR}))


@pytest.mark.parametrize(
    ("space", "given"),
    [
        (spaces.Discrete(3), np.array([0, 1, 1], np.int8)),
        (spaces.Discrete(3), [0, 1, 1]),
        (spaces.Discrete(3), (False, True, True)),
        (spaces.MultiDiscrete([1, 2]), (np.array([0], np.int8), np.array([1, 1], np.int8))),
        (spaces.MultiBinary((2, 2)), np.array([[[0, 1], [1, 1]], [[1, 0], [1, 1]]])),
    ],
)
def test_masks_are_taken_as_gymnasium_and_sb3_contrib_have_them(space, given):
    expected = [0, 1, 1] if not isinstance(space, spaces.MultiBinary) else [0, 1, 1, 1, 1, 0, 1, 1]
    assert MaskForm(space).flat(given, "it").astype(int).tolist() == expected


@pytest.mark.parametrize("given", [np.ones(4), [0, 2, 1], np.array([0.5, 1, 1]), ["a", "b", "c"], None, [], [None] * 3])
def test_a_mask_that_does_not_fit_is_refused_with_both_sizes(given):
    with pytest.raises(ConfigError, match=r"my mask (has \d+ entries|is \[.*\]); Discrete\(3\) needs 3 zeros and ones"):
        MaskForm(spaces.Discrete(3)).flat(given, "my mask")
