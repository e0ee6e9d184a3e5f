"""The genetic algorithm: ranking, the elite, breeding, fitness, presets, and what it refuses."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hakisa_algos import GA, Agent, GAConfig
from hakisa_algos.data.episodes import Episode
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError, NonFiniteError
from hakisa_algos.learners.ga import HAKISA, PRESETS, SMALL, UBER
from hakisa_algos.learners.ga import GALearner as Learner
from hakisa_algos.learners.generation import without_cut
from tests.helpers.counting import CountingEnv, counting_envs

TINY = GAConfig(
    num_envs=3,
    population=8,
    parents=3,
    candidates=2,
    validation_episodes=2,
    mutation_scale=0.3,
    hidden_sizes=(4,),
)
VECTOR = spaces.Box(-1, 1, (4,), np.float32)


def make(config=TINY, seed=1):
    return Learner(
        VECTOR,
        spaces.Discrete(2),
        config,
        num_envs=config.num_envs,
        seed=seed,
        device=torch.device("cpu"),
        network=None,
    )


def buffer_of(learner, fitness):
    """One episode per game, of the given returns."""
    buffer = RolloutBuffer(1, 3, learner.policy.observation, keep_observations=False)
    need = learner.games()
    assert len(fitness) == len(need.lineages)
    buffer.finished.extend(Episode(0, i, value, 5, value) for i, value in enumerate(fitness) for _ in range(need.games))
    return buffer


def weights(learner):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in learner.policy.parameters())).hexdigest()


def test_a_generation_is_played_then_its_candidates_then_the_next():
    learner = make()
    first = learner.games()
    assert first.lineages == tuple(learner.population)
    assert first.games == 1
    metrics = learner.update(buffer_of(learner, [3, 9, 1, 7, 2, 0, 4, 5]))
    assert metrics["train/fitness_max"] == 9
    assert metrics["train/fitness_mean"] == pytest.approx(31 / 8)
    validation = learner.games()
    assert validation.lineages == (first.lineages[1], first.lineages[3])  # nobody is the elite yet
    assert validation.games == 2
    assert validation.key != first.key
    assert learner.update(buffer_of(learner, [6, 8]))["train/elite_fitness"] == 8
    assert learner.elite == learner.population[0] == first.lineages[3]
    assert learner.games().key not in (first.key, validation.key)


def test_children_come_from_the_best_each_about_as_often_and_the_elite_is_first_of_them():
    learner = make()
    learner.update(buffer_of(learner, [3, 9, 1, 7, 2, 0, 4, 5]))
    before = list(learner.population)
    learner.update(buffer_of(learner, [6, 8]))
    parents = [lineage[:-1] for lineage in learner.population[1:]]
    counts = {i: parents.count(before[i]) for i in (3, 1, 7)}  # the elite, then the best two of the others
    assert sum(counts.values()) == 7
    assert sorted(counts.values()) == [2, 2, 3]
    assert len({lineage[-1].seed for lineage in learner.population}) == 8


def test_the_elite_stays_until_another_beats_it_on_the_same_fresh_games():
    learner = make()
    learner.update(buffer_of(learner, [9, 1, 1, 1, 1, 1, 1, 1]))
    learner.update(buffer_of(learner, [9, 1]))
    elite = learner.elite
    for _ in range(4):
        # In the generation it is unlucky: last of all. It is a candidate nevertheless, and a draw keeps it.
        learner.update(buffer_of(learner, [0, 5, 6, 7, 8, 9, 9, 9]))
        assert learner.games().lineages[0] == elite
        assert len(learner.games().lineages) == 3
        metrics = learner.update(buffer_of(learner, [4, 4, 3]))
        assert learner.elite == learner.population[0] == elite
    assert metrics["train/elite_age"] == 4
    learner.update(buffer_of(learner, [0, 5, 6, 7, 8, 9, 9, 9]))
    better = learner.games().lineages[2]
    learner.update(buffer_of(learner, [4, 3, 5]))
    assert learner.elite == learner.population[0] == better


def test_the_policy_has_the_elites_weights():
    learner = make()
    hashes = set()
    for generation in range(3):
        learner.update(buffer_of(learner, np.arange(8.0)))
        learner.update(buffer_of(learner, [0.0] * (2 if not generation else 3)))
        learner.update(buffer_of(learner, np.arange(8.0)))
        learner.update(buffer_of(learner, [0.0, 1.0, 0.0]))
        expected = torch.from_numpy(learner._genome.weights(learner.elite))
        assert torch.equal(torch.nn.utils.parameters_to_vector(learner.policy.parameters()), expected)
        hashes.add(weights(learner))
    assert len(hashes) == 3


def test_without_validation_the_best_of_the_generation_is_the_elite():
    learner = make(dataclasses.replace(TINY, candidates=0, survivors=3))
    before = list(learner.population)
    learner.update(buffer_of(learner, [3, 9, 1, 7, 2, 0, 4, 5]))
    assert learner.population[:3] == [before[1], before[3], before[7]]
    assert learner.elite == before[1]
    assert learner.generation == 1


def test_the_elite_is_never_lost_in_a_real_run():
    """In a game without luck the best fitness never falls, and is the elite's."""
    learner_config = dataclasses.replace(TINY, total_steps=4_000, mutation_scale=1.0)
    best, elites = [], []

    def watch(trainer, metrics):
        learner = trainer.learner
        if "train/fitness_max" in metrics:
            best.append(metrics["train/fitness_max"])
        elites.append(learner.elite)
        assert learner.elite == learner.population[0] or not learner.generation

    GA(SameGame, learner_config, seed=3).learn(callbacks=[watch])
    assert len(best) > 8
    assert best == sorted(best)
    assert len(set(elites)) > 2


class SameGame(CountingEnv):
    """Ten steps, whatever the seed; pays the action where it is the step's number modulo 3."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.name, self.length, self.end = 1, 10, "terminated"
        return self.observe(), {}

    def step(self, action):
        right = float(int(action) == self.count % 3)
        observation, _, terminated, truncated, info = super().step(action)
        return observation, right, terminated, truncated, info


def test_mutations_get_weaker_and_fewer_by_generation():
    learner = make(dataclasses.replace(TINY, mutation_scale_decay=0.5, mutation_share_decay=0.25, candidates=0))
    seen = []
    for _ in range(3):
        metrics = learner.update(buffer_of(learner, np.arange(8.0)))
        seen.append((metrics["train/mutation_scale"], metrics["train/mutation_share"]))
        assert {(m.scale, m.share) for *_, m in learner.population[1:]} == {seen[-1]}
    assert seen == [(0.3, 1.0), (0.15, 0.25), (0.075, 0.0625)]


def test_fitness_is_the_mean_over_episodes():
    learner = make(dataclasses.replace(TINY, episodes=2))
    buffer = buffer_of(learner, np.zeros(8))
    buffer.finished.clear()
    buffer.finished.extend(Episode(0, i, 0.0, 9, value) for i in range(8) for value in (float(i), 3.0 * i))
    assert learner._measure(buffer.finished).tolist() == [2.0 * i for i in range(8)]


def test_where_steps_are_counted_the_episode_that_they_cut_does_not_count():
    # Two that ended and one that was cut; one that was cut; one that ended and one that was cut.
    returns = {0: [4.0, 4.0, 2.0], 1: [10.0], 2: [8.0, 2.0]}
    episodes = [Episode(0, i, 0.0, 1, value) for i, values in returns.items() for value in values]
    kept = [(episode.seat, episode.discounted) for episode in without_cut(episodes)]
    assert kept == [(0, 4.0), (0, 4.0), (1, 10.0), (2, 8.0)]


def test_whose_games_all_failed_is_last():
    learner = make()
    episodes = [Episode(0, i, 0.0, 1, float(i) - 5) for i in range(8) if i != 4]
    assert learner._measure(episodes)[4] == -5


def test_a_reward_that_is_no_number_is_refused_and_changes_nothing():
    learner = make()
    before = learner.state()
    with pytest.raises(NonFiniteError, match="generation 0: the fitness of 1 individuals is NaN or infinite"):
        learner.update(buffer_of(learner, [3, 9, 1, float("nan"), 2, 0, 4, 5]))
    after = learner.state()
    assert after["updates"] == before["updates"] == 0
    assert after["population"]["seeds"].tolist() == before["population"]["seeds"].tolist()
    assert not after["candidates"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = (GA("CartPole-v1", TINY, seed=seed).learn(5_000) for seed in (1, 1, 2))
    assert first.learner.population == again.learner.population
    assert weights(first.learner) == weights(again.learner)
    assert weights(first.learner) != weights(other.learner)
    assert first.learner.generation > 1


def test_all_of_a_generation_play_games_with_the_same_seeds():
    envs = counting_envs(n=2, ends=("terminated",))
    config = dataclasses.replace(TINY, num_envs=2, episodes=3, candidates=0)
    GA(envs, config, seed=1).learn(callbacks=[lambda trainer, metrics: False])
    asked = [seed for env in envs.envs for seed in env.seeds if seed is not None]
    assert len(asked) == 3 * 8
    assert sorted(asked) == sorted([*set(asked)] * 8)
    assert len(set(asked)) == 3


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, "foreign"])
def test_envs_that_cannot_be_given_seeds_are_refused_with_the_reason(mode):
    envs = (
        counting_envs("foreign_next_step")
        if mode == "foreign"
        else SyncVectorEnv([CountingEnv] * 2, autoreset_mode=mode)
    )
    what = "the env, in the step"
    with pytest.raises(ConfigError, match=f"cannot be given seeds: they are begun by {what}.*pass an env id"):
        GA(envs, TINY).learn(100)


def test_workers_need_an_env_that_can_be_made_again():
    config = dataclasses.replace(TINY, num_envs=1, workers=1)
    with pytest.raises(ConfigError, match=r"workers=1 need envs of their own.*pass an env id"):
        GA(CountingEnv(), config).learn(100)


def test_pictures_dicts_and_conditional_actions_are_played():
    tiny = dataclasses.replace(TINY, population=4, parents=2, candidates=1, network="small")
    pictures = {"observation": "pixels", "episode_length": 4}
    agent = GA("Hakisa/Press-v0", tiny, env_options=pictures, threads=1).learn(60)
    assert agent.learner.generation > 0
    assert agent.evaluate(2).lengths.tolist() == [4, 4]


def test_evaluation_and_prediction_are_the_elites():
    agent = GA("CartPole-v1", TINY, seed=2).learn(4_000)
    drawn = agent.evaluate(5, seed=1, deterministic=False)
    assert drawn.returns.tolist() == agent.evaluate(5, seed=1).returns.tolist()
    action, state = agent.predict([0.0, 0.0, 0.0, 0.0])
    assert action in (0, 1)
    assert state == {}


def test_presets():
    assert {name: Learner.default_config(VECTOR, name) for name in PRESETS} == PRESETS
    with pytest.raises(ConfigError, match=r"there is no preset 'hakiso' here\. Did you mean 'hakisa'"):
        Learner.default_config(VECTOR, "hakiso")
    assert GAConfig() == SMALL == Learner.default_config(VECTOR)
    assert Learner.default_config(spaces.Box(0, 255, (84, 84, 3), np.uint8)) == HAKISA
    assert (HAKISA.population, HAKISA.parents, HAKISA.survivors, HAKISA.steps_per_individual) == (20, 10, 10, 1000)
    assert (UBER.population, UBER.parents, UBER.survivors, UBER.candidates) == (1000, 20, 1, 10)
    learner = make(dataclasses.replace(HAKISA, candidates=0))
    before = list(learner.population)
    learner.update(buffer_of(learner, np.arange(20.0)))
    # The best 10, and one mutated copy of each.
    assert learner.population[:10] == before[:9:-1]
    assert [lineage[:-1] for lineage in learner.population[10:]] == before[:9:-1]


def test_the_preset_hakisa_is_five_generations_and_their_validations():
    metrics = []
    agent = GA(
        "CartPole-v1", dataclasses.replace(HAKISA, total_steps=HAKISA.total_steps // 20, steps_per_individual=50)
    )
    agent.learn(callbacks=[lambda trainer, m: metrics.append((trainer.step, m)) and None])
    assert agent.learner.generation == 5
    assert metrics[-1][0] == HAKISA.total_steps // 20


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"parents": 9, "population": 8}, "parents=9 must be at most population, which is 8"),
        ({"survivors": 8, "population": 8}, "survivors=8 must be at most population - 1, which is 7"),
        ({"candidates": 8, "population": 8}, "candidates=8 must be at most population - 1, which is 7"),
        ({"workers": 2}, "workers=2 must be at most tasks, which is 1"),
        ({"mutation_scale": 0.0}, "mutation_scale=0.0 must be greater than 0"),
        ({"mutation_share": 1.5}, r"mutation_share=1.5 must lie in 0\.\.1"),
        ({"mutation_inputs": 0.0}, r"mutation_inputs=0.0 must be"),
        ({"steps_per_individual": 0}, "steps_per_individual=0 must be greater than 0, or None to do without"),
        ({"population": 2.5}, "population=2.5 must be a whole number"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        GAConfig(**wrong)


def test_it_is_found_by_name():
    assert isinstance(Agent("CartPole-v1", TINY, algorithm="ga").learner, Learner)
