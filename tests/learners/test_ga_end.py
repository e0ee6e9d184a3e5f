"""A generation that was begun is finished, with its validation; and no game of it lasts for ever."""

import dataclasses

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

from hakisa_algos import GA, GAConfig
from hakisa_algos.learners import generation
from tests.helpers.counting import CountingEnv, counting_envs
from tests.helpers.learning import assert_same

CONFIG = GAConfig(
    num_envs=3, population=8, parents=3, candidates=2, validation_episodes=2, hidden_sizes=(4,), total_steps=100_000
)
# Games of 10 steps in 3 envs: 3 rounds for 8 individuals; 2, then 2 for the 4 and 6 games of the candidates.
BY_STEPS = dataclasses.replace(CONFIG, steps_per_individual=10)
GENERATION = 3 * 10 * (3 + 2)


def learn(config, env="CartPole-v1", **options):
    steps = []
    agent = GA(env, config, seed=1)
    agent.learn(callbacks=[lambda trainer, metrics: steps.append(trainer.step)], **options)
    return agent, steps


@pytest.mark.parametrize(
    ("total", "generations"), [(1, 1), (90, 1), (GENERATION, 1), (GENERATION + 1, 2), (2 * GENERATION, 2)]
)
def test_a_generation_that_was_begun_is_finished_with_its_validation(total, generations):
    agent, steps = learn(dataclasses.replace(BY_STEPS, total_steps=total))
    assert steps == [90, GENERATION, GENERATION + 90, 2 * GENERATION][: 2 * generations]
    assert agent.steps == generations * GENERATION
    assert agent.learner.generation == generations
    assert not agent.learner.facts().midway
    assert agent.stopped_by is None


def test_without_validation_a_generation_ends_with_its_games():
    agent, steps = learn(dataclasses.replace(BY_STEPS, candidates=0, total_steps=91))
    assert steps == [90, 180]
    assert agent.learner.generation == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_midway_between_a_generation_and_its_validation_only(workers):
    midway = []
    config = dataclasses.replace(BY_STEPS, tasks=2, workers=workers, total_steps=300)
    agent = GA("CartPole-v1", config, seed=1)
    agent.learn(callbacks=[lambda trainer, metrics: midway.append(trainer.learner.facts().midway)])
    agent.close()
    assert midway == [True, False] * (len(midway) // 2)
    assert agent.steps >= 300


def test_steps_of_all_columns_count_and_episodes_are_each_counted_once():
    envs = counting_envs(n=3, make=CountingEnv, longest=40, ends=("terminated",))
    agent = GA(envs, dataclasses.replace(CONFIG, total_steps=60), seed=1).learn()
    assert agent.steps == sum(len(env.real) for env in envs.envs)  # what the envs themselves have counted
    assert agent._trainer.statistics.count == 8 + 2 * 2


def test_to_go_on_is_as_if_it_had_not_been_stopped(tmp_path):
    whole, _ = learn(dataclasses.replace(CONFIG, total_steps=3_000))
    learn(dataclasses.replace(CONFIG, total_steps=1_000), run=tmp_path / "run")
    again = GA.load(tmp_path / "run").learn(3_000)
    assert again.steps == whole.steps
    assert_same(again.learner.state(), whole.learner.state())


class Endless(CountingEnv):
    """Never ends, nor has it a limit."""

    def reset(self, *, seed=None, options=None):
        observation, infos = super().reset(seed=seed)
        self.length = 10**9
        return observation, infos


def limited():
    """With a limit of its own, above ours."""
    spec = EnvSpec("Limited-v0", Endless, max_episode_steps=60, kwargs={"metadata": {"render_modes": []}})
    return gym.make(spec, disable_env_checker=True)


@pytest.mark.parametrize(("env", "length"), [(Endless, 40), (limited, 60)])
def test_a_game_that_would_never_end_is_cut_and_its_return_counts(env, length, monkeypatch):
    assert generation.LONGEST_EPISODE == 30_000
    monkeypatch.setattr(generation, "LONGEST_EPISODE", 40)
    agent = GA(env, dataclasses.replace(CONFIG, candidates=0, total_steps=1), seed=1).learn()
    assert agent._trainer.statistics.metrics()["rollout/ep_len_mean"] == length
    assert agent.steps == 3 * 3 * length  # 8 games in 3 rounds
