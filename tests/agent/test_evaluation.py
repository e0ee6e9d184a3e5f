"""An evaluation is fair, repeatable, on seeds that training never sees, and changes nothing."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from hakisa_algos.agent import PPO
from hakisa_algos.data.stepper import episode_seed
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.policy.policy import Decision
from hakisa_algos.training.evaluate import Stopped, evaluate, metrics_of
from tests.helpers.counting import FORMS, CountingEnv, RandomPolicy, columns_of, counting_envs
from tests.helpers.learning import assert_same

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)


class Recorded(CountingEnv):
    """Keeps of each episode how it was begun, its return, its length, and whether it came to its end."""

    def reset(self, *, seed=None, options=None):
        self.episodes = [*getattr(self, "episodes", []), [seed, 0.0, 0, False]]
        return super().reset(seed=seed)

    def step(self, action):
        found = super().step(action)
        episode = self.episodes[-1]
        episode[1:] = episode[1] + found[1], episode[2] + 1, found[2] or found[3]
        return found


def by_column(result, n, values):
    """``values``, one per episode, as a list for each of ``n`` columns."""
    values, split = list(values), []
    for column in range(n):
        own = len(result.returns) // n + (column < len(result.returns) % n)
        split.append(values[:own])
        values = values[own:]
    return split


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("episodes", [1, 2, 3, 10, 11])
def test_exactly_so_many_whole_episodes_are_played_the_first_of_each_column(form, episodes):
    envs = counting_envs(form, make=Recorded, longest=20)
    result = evaluate(RandomPolicy(), envs, episodes=episodes)
    assert len(result.returns) == len(result.lengths) == len(result.outcomes) == len(result.trajectories) == episodes
    assert not result.cut.any()
    returns, lengths = by_column(result, 3, result.returns), by_column(result, 3, result.lengths)
    for column, env in enumerate(columns_of(envs)):
        # Envs that begin episodes themselves go on after the one that counts; only a seeded reset begins a counted one.
        begun = [one for one in env.episodes if one[0] is not None]
        played = begun[: len(returns[column])]
        assert all(over for *_, over in played)
        assert returns[column] == [total for _, total, _, _ in played]
        assert lengths[column] == [length for _, _, length, _ in played]


@pytest.mark.parametrize("form", FORMS)
def test_short_episodes_are_not_favoured(form):
    """A column with episodes of one step beside one with fifty: whoever takes those that end first sees no long one."""
    envs = counting_envs(form, n=2, make=lambda column: FixedLength((1, 50)[column]))
    result = evaluate(RandomPolicy(FixedLength.observation_space), envs, episodes=9)
    assert sorted(result.lengths) == [1] * 5 + [50] * 4


@pytest.mark.parametrize("form", FORMS)
def test_an_episode_without_end_is_cut_and_counts(form):
    envs = counting_envs(form, make=lambda column: FixedLength((10**9, 3, 7)[column]))
    result = evaluate(RandomPolicy(FixedLength.observation_space), envs, episodes=5, max_steps=7)
    assert by_column(result, 3, result.lengths) == [[7, 7], [3, 3], [7]]
    assert by_column(result, 3, result.cut) == [[True, True], [False, False], [False]]
    assert result.returns.tolist() == result.lengths.tolist()  # a reward of 1 at each step
    assert str(result) == "5.40 +/- 1.96 over 5 episodes, 2 of them cut after 7 steps"


def test_the_limit_is_the_envs_own_else_the_longest(monkeypatch):
    monkeypatch.setattr("hakisa_algos.training.evaluate.LONGEST_EPISODE", 20)
    gym.register("Own/Fixed-v0", FixedLength, max_episode_steps=40, kwargs={"length": 10**9})
    try:
        own = evaluate(RandomPolicy(FixedLength.observation_space), make_envs("Own/Fixed-v0", 2), episodes=2)
    finally:
        del gym.registry["Own/Fixed-v0"]
    assert (own.lengths.tolist(), own.limit, own.cut.any()) == ([40, 40], 40, False)
    without = evaluate(RandomPolicy(FixedLength.observation_space), make_envs(lambda: FixedLength(10**9)), episodes=1)
    assert (without.lengths.tolist(), without.limit, without.cut.all()) == ([20], 20, True)


@pytest.mark.parametrize("form", FORMS)
def test_it_stops_at_the_step_at_which_it_is_told_to(form):
    envs = counting_envs(form, make=lambda column: FixedLength(10**9))
    asked = iter(range(10**9))
    with pytest.raises(Stopped, match="stopped after 0 of 4 episodes"):
        evaluate(RandomPolicy(FixedLength.observation_space), envs, episodes=4, stop=lambda: next(asked) == 17)
    assert {env.taken for env in columns_of(envs)} == {17}


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"max_steps": 0}])
def test_nothing_to_play_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}=0 must be at least 1"):
        evaluate(RandomPolicy(), counting_envs(), **wrong)


class FixedLength(gym.Env):
    """Always the same episode, of ``length`` steps and a reward of 1 at each; ``said`` is the last step's info."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, length, contract=True, start=0.0, said=lambda self: {}):
        self.metadata = {"hakisa_contract": 1} if contract else {}
        self.length, self.start, self.said, self.taken, self.resets = length, start, said, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets += 1
        self.count = 0
        return np.full(4, self.start, np.float32), {}

    def step(self, action):
        self.taken += 1
        self.count += 1
        over = self.count == self.length
        return np.full(4, self.count, np.float32), 1.0, over, False, self.said(self) if over else {}


class Same(RandomPolicy):
    """Always acts alike."""

    def act(self, observation, state, explore, generator):
        return Decision(torch.ones(len(observation), dtype=torch.long), {}, state)


def same():
    return Same(FixedLength.observation_space)


def told(outcome, opponent=None, start=None):
    said = {"outcome": outcome, "opponent": opponent, "start": start}
    return lambda env: {key: value for key, value in said.items() if value is not None}


@pytest.mark.parametrize("form", FORMS)
def test_outcomes_are_counted_by_opponent_and_by_start(form):
    said = [told("win", "weak", "left"), told("loss", "strong", "left"), told("draw", "weak")]
    envs = counting_envs(form, make=lambda column: FixedLength(2 + column, said=said[column]))
    result = evaluate(same(), envs, episodes=6)
    assert result.outcomes == ["win"] * 2 + ["loss"] * 2 + ["draw"] * 2
    assert result.opponents == ["weak"] * 2 + ["strong"] * 2 + ["weak"] * 2
    assert result.starts == ["left"] * 4 + [None] * 2
    shares = (result.rates.win, result.rates.loss, result.rates.draw)
    assert [share.value for share in shares] == [1 / 3] * 3
    assert (result.rates.win.low, result.rates.win.high) == pytest.approx((0.0615, 0.7923), abs=1e-4)
    assert {name: rates.win.value for name, rates in result.rates_by(result.opponents).items()} == {
        "weak": 0.5,
        "strong": 0,
    }
    assert {name: rates.games for name, rates in result.rates_by(result.starts).items()} == {"left": 2}
    assert "33% [6%, 79%] won" in str(result)
    assert str(result).endswith("of 3 different games")


@pytest.mark.parametrize("form", FORMS)
def test_an_env_that_does_not_follow_the_contract_says_no_outcome(form):
    """What somebody else's env calls an outcome may be anything."""
    envs = counting_envs(form, make=lambda column: FixedLength(2, contract=False, said=lambda env: {"outcome": "win"}))
    result = evaluate(same(), envs, episodes=4)
    assert result.outcomes == [None] * 4
    assert result.rates is None
    assert "won" not in str(result)
    assert "eval/win_rate" not in metrics_of(result, result)


@pytest.mark.parametrize("form", FORMS)
def test_games_that_went_alike_count_once(form):
    envs = counting_envs(form, make=lambda column: FixedLength(5, said=told("win")))
    result = evaluate(same(), envs, episodes=20)
    assert result.trajectories == [0] * 20
    assert result.rates.games == 1
    assert (result.rates.win.low, result.rates.win.high) == pytest.approx((0.2065, 1), abs=1e-4)
    assert len(set(evaluate(RandomPolicy(FixedLength.observation_space), envs, episodes=20).trajectories)) > 15


@pytest.mark.parametrize("differs", [{"start": 1.0}, {"length": 4}], ids=lambda differs: next(iter(differs)))
def test_whatever_the_agent_saw_tells_games_apart(differs):
    common = {"length": 3, "said": told("win")}
    envs = counting_envs(n=2, make=lambda column: FixedLength(**common | (differs if column else {})))
    assert evaluate(same(), envs, episodes=8).trajectories == [0] * 4 + [4] * 4


def test_a_cut_game_has_no_outcome_and_the_others_have():
    envs = counting_envs(n=2, make=lambda column: FixedLength((3, 10**9)[column], said=told("win")))
    result = evaluate(same(), envs, episodes=2, max_steps=9)
    assert (result.outcomes, result.cut.tolist(), result.rates.games) == (["win", None], [False, True], 1)


@pytest.mark.parametrize("form", FORMS)
def test_an_env_whose_episodes_never_end_in_a_row_that_counts_is_refused(form):
    envs = counting_envs(form, make=lambda column: FixedLength(3, said=lambda env: {"transition": False}))
    with pytest.raises(ConfigError, match="ended in a row that the env calls no transition"):
        evaluate(same(), envs, episodes=4)


def test_metrics_are_those_of_both_ways_to_play():
    envs = counting_envs(n=2, make=lambda column: FixedLength((3, 10**9)[column], said=told("loss")))
    best, drawn = (evaluate(same(), envs, episodes=4, max_steps=limit) for limit in (9, 5))
    found = metrics_of(best, drawn)
    assert (found["eval/mean_reward"], found["eval/mean_reward_stochastic"]) == (6, 4)
    assert (found["eval/cut_episodes"], found["eval/different_games"]) == (2, 1)
    assert [found[f"eval/{name}_rate"] for name in ("win", "loss", "draw")] == [0, 1, 0]
    assert found["eval/win_rate_low"] == 0 < found["eval/win_rate_high"] < 0.8
    assert found["eval/win_rate_stochastic"] == 0


class Noisy(nn.Module):
    """What acts differently in training: batch statistics and dropout."""

    def __init__(self, space):
        super().__init__()
        self.features = 16
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, observation):
        return self.layers(observation)


def test_a_network_is_evaluated_as_it_will_be_used_and_comes_back_as_it_was():
    agent = PPO("CartPole-v1", SMALL, network=Noisy)
    modules = list(agent.policy.modules())
    agent.policy.train()
    modules[-1].eval()  # by somebody's own choice
    before, weights = (
        [module.training for module in modules],
        {k: v.clone() for k, v in agent.policy.state_dict().items()},
    )
    assert set(before) == {True, False}
    first, again = agent.evaluate(6, num_envs=1), agent.evaluate(6, num_envs=1)
    assert first.returns.tolist() == again.returns.tolist()  # no dropout; and a batch of one is no error
    assert [module.training for module in modules] == before
    assert_same(agent.policy.state_dict(), weights)  # no statistics have moved


def test_its_seeds_are_none_of_those_of_training():
    trained = {episode_seed(run, column, k) for run in range(10) for column in range(10) for k in range(100)}
    envs = counting_envs()
    evaluate(RandomPolicy(), envs, episodes=60, seed=3)
    seeds = {seed for env in columns_of(envs) for seed in env.seeds}
    assert len(seeds) >= 60
    assert not seeds & trained


def test_the_same_evaluation_comes_out_the_same_and_another_seed_another():
    agent = PPO("CartPole-v1", SMALL)
    first, again, other = (agent.evaluate(6, seed=seed, deterministic=False) for seed in (1, 1, 2))
    assert first.returns.tolist() == again.returns.tolist()
    assert first.returns.tolist() != other.returns.tolist()


def test_the_best_action_or_drawn_ones():
    agent = PPO("CartPole-v1", SMALL)
    with torch.no_grad():
        agent.policy.heads.linear.weight.zero_()
        agent.policy.heads.linear.bias.copy_(torch.tensor([0.01, 0.0]))
    best, drawn = agent.evaluate(20), agent.evaluate(20, deterministic=False)
    assert best.mean < 11 < drawn.mean  # always the same push falls soonest


def test_the_policy_is_not_changed():
    agent = PPO("CartPole-v1", SMALL).learn(64)
    before = agent.learner.state()
    before = copy.deepcopy({name: before[name] for name in ("policy", "random", "version")})
    agent.evaluate(4, deterministic=False)
    assert_same({name: agent.learner.state()[name] for name in before}, before)


def test_no_more_columns_than_episodes():
    made = []

    def make():
        made.append(1)
        return CountingEnv()

    agent = PPO(make, PPOConfig(num_envs=8))
    made.clear()
    agent.evaluate(3)
    assert len(made) == 3
    made.clear()
    agent.evaluate(20, num_envs=5)
    assert len(made) == 5
