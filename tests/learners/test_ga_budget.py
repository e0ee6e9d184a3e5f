"""The genetic algorithm takes no env step more than it was given, validation and idle envs counted."""

import dataclasses

import pytest

from hakisa_algos import GA, GAConfig
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.generation import rows_of_games
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


@pytest.mark.parametrize("spare", [0, 3, GENERATION - 3])
def test_a_generation_that_does_not_fit_is_not_begun(spare):
    agent, steps = learn(dataclasses.replace(BY_STEPS, total_steps=2 * GENERATION + spare))
    assert steps == [90, GENERATION, GENERATION + 90, 2 * GENERATION]
    assert agent.steps == 2 * GENERATION
    assert agent.learner.generation == 2
    # With nothing to spare it is the end that was planned.
    assert agent.stopped_by == ("BudgetSpent" if spare else None)


def test_the_first_generation_must_fit_with_its_validation():
    with pytest.raises(ConfigError, match=r"total_steps=149 .* first generation and its validation, .* 150 env steps"):
        learn(dataclasses.replace(BY_STEPS, total_steps=GENERATION - 1))


def test_shares_of_several_tasks_are_counted_each_with_its_idle_envs():
    config = dataclasses.replace(BY_STEPS, tasks=2, total_steps=10_000)
    _, steps = learn(config)
    # 4 and 4 games take 2 rounds each; 2 and 2 one each, 3 and 3 one each.
    assert steps[:4] == [120, 180, 300, 360]
    assert rows_of_games(8, 10, 2, 3) * 3 == 120
    assert 10_000 - 180 < steps[-1] <= 10_000


def test_a_generation_that_is_cut_leaves_no_trace():
    cut, steps = learn(dataclasses.replace(CONFIG, total_steps=3_000))
    assert steps[-1] < cut.steps == 3_000
    assert cut.stopped_by == "BudgetSpent"
    whole, same = learn(dataclasses.replace(CONFIG, total_steps=steps[-1]))
    assert same == steps
    assert whole.stopped_by is None
    assert_same(whole.learner.state(), cut.learner.state())


def test_however_it_is_shared_out_no_step_is_too_many():
    ends = []
    for workers in (0, 2):
        agent, steps = learn(dataclasses.replace(CONFIG, tasks=3, workers=workers, total_steps=3_000))
        agent.close()
        assert agent.stopped_by == "BudgetSpent"
        assert steps[-1] < agent.steps <= 3_000
        ends.append((steps, agent.steps))
    assert ends[0] == ends[1]


def test_steps_that_are_cut_are_counted_and_their_episodes_are_not():
    envs = counting_envs(n=3, make=CountingEnv, longest=40, ends=("terminated",))
    seen = []
    agent = GA(envs, dataclasses.replace(CONFIG, total_steps=60), seed=1)
    agent.learn(callbacks=[lambda trainer, metrics: seen.append(trainer.step)])
    assert seen == []
    assert agent.steps == 60
    assert agent.learner.generation == agent.learner.updates == 0
    played = sum(len(env.real) for env in envs.envs)
    assert played == 60  # what the envs themselves have counted
    assert agent._trainer.statistics.count == 0


def test_with_more_steps_it_goes_on_and_ranks_the_generation_that_was_cut(tmp_path):
    agent, _ = learn(dataclasses.replace(CONFIG, total_steps=1_000), run=tmp_path / "run")
    assert agent.steps == 999  # 3 envs
    before = agent.learner.state()
    again = GA.load(tmp_path / "run")
    assert again.steps == 999
    assert_same(again.learner.state(), before)
    steps = []
    again.learn(4_000, callbacks=[lambda trainer, metrics: steps.append(trainer.step)])
    assert steps[0] > 1_000
    assert again.learner.updates > agent.learner.updates
    assert again.steps <= 4_000
