"""The genetic algorithm's presets are what they say, and each runs from beginning to end."""

import dataclasses
from itertools import pairwise

import pytest

from hakisa_algos import GA
from hakisa_algos.learners.ga import HAKISA, SMALL, UBER
from tests.helpers.counting import CountingEnv

LENGTH = 10


class Choice(CountingEnv):
    """Ten steps, whatever the seed: the reward is the action."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.name, self.length, self.end = 1, LENGTH, "terminated"
        return self.observe(), {}

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        return observation, float(action), terminated, truncated, info


def play(config, env=Choice):
    """The metrics of every update, and the populations before each generation."""
    metrics, populations = [], []

    def watch(trainer, found):
        metrics.append(found | {"step": trainer.step})
        if "train/elite_fitness" in found:
            populations.append(list(trainer.learner.population))

    agent = GA(env, config, seed=2)
    first = list(agent.learner.population)
    agent.learn(callbacks=[watch])
    return agent, metrics, [first, *populations]


def test_hakisa_is_as_it_is_described():
    # Whole: 5 generations of 20 individuals with 1000 steps each.
    assert (HAKISA.population, HAKISA.steps_per_individual) == (20, 1_000)
    agent, metrics, populations = play(HAKISA)
    ranked = [found for found in metrics if "train/fitness_max" in found]
    assert [found["train/generation"] for found in ranked] == [0, 1, 2, 3, 4]
    assert agent.learner.generation == 5
    starts = [0, *(found["step"] for found in metrics if "train/elite_fitness" in found)]
    assert [found["step"] - start for found, start in zip(ranked, starts, strict=False)] == [20 * 1_000] * 5
    # No step is left over, and none is too many: validation is within the budget.
    assert agent.steps == starts[-1] == HAKISA.total_steps
    assert agent.stopped_by is None

    # The best 10 stay, and one mutated copy of each takes the place of the worst 10.
    for before, after in pairwise(populations):
        kept, children = after[:10], after[10:]
        assert set(kept) <= set(before)
        assert [child[:-1] for child in children] == kept

    # Fewer mutations each generation.
    shares = [found["train/mutation_share"] for found in ranked]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 5

    # Fitness is the discounted sum of rewards: nobody can have more than the best action all the time.
    best = sum(2 * 0.99**step for step in range(LENGTH))
    fitness = [found["train/fitness_max"] for found in ranked]
    assert fitness == sorted(fitness)
    assert fitness[-1] == pytest.approx(best)


def test_uber_plays_whole_generations():
    """All 1000 individuals, and the ten best against the elite over 30 games."""
    # 16 tasks of 32 envs: 62 or 63 games take two rounds, then 300 and 330 games one round each.
    steps = [16 * 2 * 32 * LENGTH, 16 * 1 * 32 * LENGTH]
    agent, metrics, populations = play(dataclasses.replace(UBER, total_steps=2 * sum(steps)))
    assert [found["step"] for found in metrics] == [steps[0], sum(steps), sum(steps) + steps[0], 2 * sum(steps)]
    assert agent.learner.generation == 2
    for before, after in pairwise(populations):
        assert len(after) == 1_000
        assert after[0] in before
        parents = {child[:-1] for child in after[1:]}
        assert len(parents) == 20
        assert parents <= set(before)
    # 1000 draws hold some that always play the best action.
    assert metrics[-1]["train/elite_fitness"] == 2 * LENGTH


def test_small_plays_whole_generations():
    agent, metrics, _ = play(dataclasses.replace(SMALL, total_steps=5_000))
    assert agent.learner.generation >= 3
    assert [found["train/elite_fitness"] for found in metrics if "train/elite_fitness" in found][-1] == 2 * LENGTH


@pytest.mark.parametrize("preset", ["hakisa", "uber"])
def test_the_command_line_runs_them_on_pictures(preset, tmp_path, monkeypatch):
    from hakisa_algos.cli.main import main

    monkeypatch.chdir(tmp_path)
    small = ["--config.num-envs", "4", "--config.population", "12", "--config.validation-episodes", "1"]
    small += ["--config.parents", "5", "--config.survivors", "5", "--config.candidates", "1", "--config.tasks", "1"]
    options = ["--env-options", "observation=pixels", "episode_length=4"]
    if preset == "hakisa":
        small += ["--config.steps-per-individual", "8"]
    arguments = ["--env", "Hakisa/Press-v0", *options, "--preset", preset, *small, "--total-steps", "500"]
    assert main(["train", "ga", *arguments, "--run", "run"]) == 0
    agent = GA.load("run")
    assert agent.learner.generation >= 2
    assert agent.steps >= 500  # the last generation is finished
    assert agent.evaluate(2).lengths.tolist() == [4, 4]
