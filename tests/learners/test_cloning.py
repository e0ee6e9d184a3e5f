"""Behaviour cloning: it agrees with who has played, on heads of all kinds, with memory and masks; and it resumes."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

from hakisa_algos import Agent
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.cloning import CloningConfig, CloningLearner, student_config
from hakisa_algos.policy.observations import split_mask
from hakisa_algos.policy.policy import Decision, FeedForward
from hakisa_algos.training.trainer import Trainer
from hakisa_envs.press.game import PressGame
from tests.helpers.masked import masked_envs

CONFIG = CloningConfig(total_steps=300, update_steps=100, batch_size=64, learning_rate=5e-3, patience=6, idle_run=0)
GAME = PressGame("vector", 12, 12, 32, 0.1)


class Scripted(FeedForward):
    """Plays Press by a rule: the answer to what is shown, or, with ``rare``, hardly anything but a wait."""

    version = 0

    def __init__(self, layout, rare):
        self.observation, self.rare = layout, rare

    def rule(self, seen):
        index = (seen[:, None] == GAME.observations[None]).all(-1).argmax(1)
        answer = GAME.answers[index].copy()
        if self.rare:  # presses one key, clicks one column: 1 row in 36, and 1 in 36
            answer[(answer[:, 0] == 1) & (answer[:, 1] != 3)] = 0
            answer[(answer[:, 0] == 2) & (answer[:, 1] != 5)] = 0
        return answer

    def act(self, observation, state, explore, generator):
        return Decision(torch.from_numpy(self.rule(observation.numpy())), {}, state)


def play(rare=False, rows=600, num_envs=4, env="Hakisa/Press-v0"):
    import hakisa_envs  # noqa: F401 (it registers)

    envs = gym.make_vec(env, num_envs=num_envs)
    learner = CloningLearner(envs.single_observation_space, envs.single_action_space, CONFIG)
    buffer = RolloutBuffer(rows, num_envs, learner.policy.observation)
    buffer.action_space = envs.single_action_space
    Collector(envs, Scripted(learner.policy.observation, rare), buffer, seed=0).collect(Rows(rows))
    return envs, buffer


@pytest.fixture(scope="module")
def played():
    return {rare: play(rare) for rare in (False, True)}


def cloned(envs, buffer, algorithm="ppo", config=CONFIG, seed=1, student=None, **options):
    given = student_config(algorithm, envs.single_observation_space, {"hidden_sizes": (64,)} | (student or {}))
    spaces = envs.single_observation_space, envs.single_action_space
    learner = CloningLearner(*spaces, config, algorithm=algorithm, student=given, seed=seed)
    learner.study(buffer, **options)
    return learner


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_clone_agrees_on_99_of_100_held_out_actions_of_a_scripted_player(played, algorithm, rare):
    learner = cloned(*played[rare], algorithm)
    trainer = Trainer(learner, None)
    trainer.train()
    metrics = learner.agreement.metrics()
    assert metrics["held_out/accuracy"] >= 0.99
    assert metrics["held_out/worst_recall"] >= 0.9
    assert trainer.buffer.rows == 0


def test_a_head_counts_only_where_the_command_makes_it_relevant(played):
    learner = cloned(*played[False])
    learner.update(None)
    before = learner.agreement.metrics()
    # What stands in heads that do not matter changes nothing.
    command = learner._chunks.action[:, 0]
    learner._chunks.action[command == 0, 1:] = 11
    learner._chunks.action[command == 1, 2] = 7
    assert learner._examine() == pytest.approx(before | {"held_out/best_loss": before["held_out/loss"]})
    rows = learner._chunks._held_out
    relevant = (command[rows] == 2).sum()
    assert learner.agreement._count[2] == relevant
    assert learner.agreement.tables[0].sum() == len(rows)


def test_held_out_rows_are_whole_episodes_and_are_never_drawn(played):
    learner = cloned(*played[False])
    lessons, chunks = learner.lessons, learner._chunks
    episode = np.cumsum(lessons.start)
    held = set(episode[lessons.held_out])
    assert held
    assert held.isdisjoint(episode[(lessons.weight > 0) & ~lessons.held_out])
    drawn = np.concatenate([chunks.draw(500, learner.generator).counted.numpy() for _ in range(20)])
    assert not lessons.held_out[drawn].any()


def test_it_goes_on_bit_for_bit_where_it_stopped(tmp_path, played):
    from hakisa_algos.training.checkpoint import load_checkpoint

    config = dataclasses.replace(CONFIG, total_steps=40, update_steps=10)
    whole = cloned(*played[False], config=config)
    Trainer(whole, None).train()
    half = cloned(*played[False], config=config)
    trainer = Trainer(half, None)
    trainer.checkpoints = tmp_path
    trainer.callbacks = [lambda trainer, metrics: trainer.step < 20]
    trainer.train()
    again = cloned(*played[False], config=config)
    trainer = Trainer(again, None)
    assert trainer.load_state(load_checkpoint(tmp_path).state)
    trainer.train()
    assert trainer.step == 40
    for one, other in (
        (whole.policy.state_dict(), again.policy.state_dict()),
        (whole._best_weights, again._best_weights),
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_shrink_by_what_is_said(played):
    def size(decay):
        config = dataclasses.replace(CONFIG, weight_decay=decay, learning_rate=1e-3)
        learner = cloned(*played[False], config=config)
        learner.update(None)
        return float(learner.descent.weights.vector.detach().norm())

    sizes = [size(decay) for decay in (0.0, 1.0, 10.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 0.8 * sizes[0]
    with pytest.raises(ConfigError, match=r"weight_decay=-0\.1 must not be negative"):
        CloningConfig(weight_decay=-0.1)


def test_it_stops_early_and_keeps_the_best(played):
    learner = cloned(
        *played[False],
        config=dataclasses.replace(CONFIG, patience=2, update_steps=5, learning_rate=1.0, total_steps=400),
    )
    trainer = Trainer(learner, None)
    trainer.train()
    assert trainer.step < 400
    student = learner.student()
    assert all(torch.equal(learner._best_weights[n], w) for n, w in student.policy.state_dict().items())


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_the_student_begins_with_the_clones_actions(played, algorithm):
    envs, buffer = played[False]
    learner = cloned(envs, buffer, algorithm)
    learner.update(None)
    student = learner.student()
    seen = torch.from_numpy(GAME.observations)
    acted = [policy.act(seen, {}, False, None).action for policy in (learner.policy, student.policy)]
    assert torch.equal(*acted)
    if algorithm == "dqn":
        assert torch.equal(student.target(seen).greedy(), acted[0])


def test_of_values_the_most_likely_action_is_the_greedy_one(played):
    learner = cloned(*played[False], "dqn")
    learner.policy.heads.values.weight.data.normal_(0, 1, generator=torch.Generator().manual_seed(0))
    values = learner.policy(torch.from_numpy(GAME.observations))
    assert torch.equal(learner.distribution(torch.from_numpy(GAME.observations)).mode(), values.greedy())


class Cue(gym.Env):
    """Shows a number at first, and nothing but 0 after that; a player who remembers repeats it at the end."""

    observation_space = gym.spaces.Box(0, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.t = int(self.np_random.integers(3)), 0
        return np.eye(4, dtype=np.float32)[self.cue], {}

    def step(self, action):
        self.t += 1
        return np.eye(4, dtype=np.float32)[3], 0.0, self.t == 12, False, {}


class Remembers(FeedForward):
    """Does what the first observation of the episode said."""

    version = 0

    def __init__(self, layout):
        self.observation = layout

    def initial_state(self, n):
        return {"cue": torch.zeros(n, dtype=torch.int64)}

    def act(self, observation, state, explore, generator):
        shown = observation.argmax(1)
        cue = torch.where(shown < 3, shown, state["cue"])
        return Decision(cue, {}, {"cue": cue})


@pytest.mark.parametrize("memory", ["lstm", "gru"])
def test_with_memory_it_remembers_over_chunks(memory):
    envs = gym.vector.SyncVectorEnv([Cue] * 4)
    config = dataclasses.replace(CONFIG, chunk=5, total_steps=200, learning_rate=1e-2)
    student = {"memory": memory, "memory_size": 32, "hidden_sizes": (16,)}
    blank = CloningLearner(envs.single_observation_space, envs.single_action_space, config)
    buffer = RolloutBuffer(400, 4, blank.policy.observation)
    Collector(envs, Remembers(blank.policy.observation), buffer, seed=0).collect(Rows(400))
    learner = cloned(envs, buffer, config=config, student=student)
    assert learner.policy.value_memory is not None
    Trainer(learner, None).train()
    assert learner.agreement.metrics()["held_out/accuracy"] >= 0.99
    # And so it plays.
    policy = learner.student().policy
    state = policy.begin(torch.ones(3, dtype=torch.bool), policy.initial_state(3))
    for seen in (torch.eye(4)[:3], *[torch.eye(4)[[3, 3, 3]]] * 11):
        decision = policy.act(seen, state, False, None)
        state = decision.state
        assert decision.action.tolist() == [0, 1, 2]


class TakesTheFirst(FeedForward):
    """Does the first thing that is allowed."""

    version = 0

    def __init__(self, layout):
        self.observation = layout

    def act(self, observation, state, explore, generator):
        return Decision(split_mask(observation)[1].int().argmax(-1), {}, state)


def masked(rows=300):
    """Rows that say what was allowed, and was done."""
    envs = masked_envs(n=4)
    learner = CloningLearner(
        envs.single_observation_space,
        envs.single_action_space,
        CONFIG,
        student=student_config("ppo", envs.single_observation_space, {"action_masks": True}),
    )
    buffer = RolloutBuffer(rows, 4, learner.policy.observation)
    buffer.action_space = envs.single_action_space
    Collector(envs, TakesTheFirst(learner.policy.observation), buffer, seed=0).collect(Rows(rows))
    return envs, buffer


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_of_rows_with_masks_a_clone_never_says_what_is_forbidden(algorithm):
    envs, buffer = masked()
    learner = cloned(envs, buffer, algorithm, student={"action_masks": True})
    Trainer(learner, None).train()
    metrics = learner.agreement.metrics()
    assert metrics["held_out/accuracy"] >= 0.99  # by the masks alone: which comes first nothing else shows
    assert metrics["held_out/forbidden"] == 0
    seen = buffer.observation(np.arange(4 * 300))
    allowed = split_mask(seen)[1]
    for deterministic in (True, False):
        for policy in (learner.policy, learner.student().policy):
            acted = policy.act(seen, {}, not deterministic, torch.Generator().manual_seed(0)).action
            assert allowed.gather(1, acted[:, None]).all()


def test_what_was_done_although_it_is_forbidden_is_counted_and_teaches_nothing():
    envs, buffer = masked()
    position = np.arange(0, 4 * 300, 3)
    allowed = split_mask(buffer.observation(position))[1].numpy()
    forbidden = ~allowed.all(1)
    worst = np.argmin(allowed, 1)
    flat = buffer._arrays["action"].reshape(-1)
    flat[position[forbidden]] = worst[forbidden]
    learner = cloned(envs, buffer, student={"action_masks": True})
    metrics = learner.update(None)
    share = forbidden.sum() / (4 * 300)
    assert metrics["train/forbidden"] == pytest.approx(share, abs=0.1)
    assert metrics["held_out/forbidden"] > 0
    assert np.isfinite([metrics["train/loss"], metrics["held_out/loss"]]).all()
    Trainer(learner, None).train()
    metrics = learner.agreement.metrics()
    assert metrics["held_out/accuracy"] >= 0.95 * (1 - metrics["held_out/forbidden"])


def test_runs_of_doing_nothing_are_thinned_and_a_reaction_is_paired_with_its_cause():
    from hakisa_algos.data.lessons import Lessons

    class Source:
        num_envs, oldest = 1, 0
        steps = rows = 40
        columns = {  # noqa: RUF012
            "age": np.tile(np.arange(20), 2),
            "action": np.array(([0] * 10 + [1] + [0] * 9) * 2),
            "learned": np.ones(40, bool),
            "transition": np.ones(40, bool),
        }

        def take(self, name, position):
            return self.columns[name][position]

    thinned = Lessons.of(Source(), conditional=False, idle=np.array(0), idle_run=4, balance=0)
    learned = np.flatnonzero((thinned.weight > 0) & ~thinned.held_out)
    assert len(thinned.position[thinned.held_out]) == 20
    assert (learned % 20).tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 14]
    assert thinned.thinned == 11
    Source.steps = Source.rows = 20
    some = Lessons.of(Source(), conditional=False, held_out=1.0)
    assert some.held_out.sum() == 19  # of a single episode too there is something left to learn from
    Source.steps = Source.rows = 40
    late = Lessons.of(Source(), conditional=False, delay=3, balance=0)
    assert np.flatnonzero(late.action == 1).tolist() == [7, 27]
    assert (late.weight.reshape(2, 20) > 0).sum(1).tolist() == [17, 17]  # no pair across episodes
    nothing = Source()
    nothing.columns = {**Source.columns, "action": np.zeros(40, int), "held_out": np.arange(40) % 20 < 2}
    with pytest.raises(ConfigError, match=r"all 36 rows that are not held out go on doing nothing .* idle_run=1 "):
        Lessons.of(nothing, conditional=False, idle=np.array(0), idle_run=1)
    Source.steps = Source.rows = 1
    with pytest.raises(ConfigError, match="record more"):
        Lessons.of(Source(), conditional=False)
    Source.steps = Source.rows = 40
    even = Lessons.of(Source(), conditional=False, balance=1)
    for part in (even.held_out, ~even.held_out):
        weight, action = even.weight[part], even.action[part]
        assert weight[action == 1].sum() == pytest.approx(weight[action == 0].sum())


def test_without_enough_to_learn_from_and_for_another_algorithm_it_says_so(played):
    envs, _ = played[False]
    seen, done = envs.single_observation_space, envs.single_action_space
    with pytest.raises(ConfigError, match="choose one of ppo, dqn"):
        student_config("ga", seen, {})
    learner = CloningLearner(seen, done, CONFIG)
    with pytest.raises(ConfigError, match="study"):
        learner.update(None)


def test_a_frozen_normaliser_stays_and_the_critic_does_not_move_the_policy():
    config = student_config("ppo", gym.spaces.Box(0, 255, (1, 36, 36), np.uint8), {"network": "small", "num_envs": 2})
    config = dataclasses.replace(config, n_steps=8, minibatch_size=8, total_steps=16)
    agent = Agent("Hakisa/Press-v0", config, algorithm="ppo", env_options={"observation": "pixels"})
    assert agent.policy.value_trunk is not None
    shared = {id(p) for p in agent.policy.trunk.parameters()} & {id(p) for p in agent.policy.value_trunk.parameters()}
    assert not shared
    before = agent.policy.normalizer.parts[0].mean.clone()
    agent.learn()
    assert torch.equal(before, agent.policy.normalizer.parts[0].mean)
    agent.close()
