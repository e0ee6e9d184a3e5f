"""A network of ours drops filters out where it imitates somebody, and nowhere else."""

import gymnasium as gym
import pytest
import torch
from torch import nn

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import DQN, PPO, DQNConfig, PPOConfig
from hakisa_algos.data.collect import Collector
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.learners.cloning import CloningConfig, CloningLearner, student_config
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.trainer import Trainer

PICTURES = {"observation": "pixels", "grid_size": 4, "episode_length": 6}


@pytest.fixture(scope="module")
def played():
    """Some short episodes, played at random."""
    envs = gym.make_vec("Hakisa/Press-v0", num_envs=2, **PICTURES)
    policy = clone(envs).policy
    buffer = RolloutBuffer(60, 2, policy.observation)
    buffer.action_space = envs.single_action_space
    Collector(envs, policy, buffer, seed=0).collect(Rows(60))
    return envs, buffer


def clone(envs, algorithm="ppo"):
    spaces = envs.single_observation_space, envs.single_action_space
    config = CloningConfig(total_steps=8, update_steps=2, batch_size=8, idle_run=0)
    student = student_config(algorithm, spaces[0], {"network": "spatial"})
    return CloningLearner(*spaces, config, algorithm=algorithm, student=student, seed=1)


def modes_of(policy):
    """The modes in which filters could be dropped out, from now on."""
    modes = set()
    for module in policy.modules():
        if isinstance(module, nn.Dropout2d):
            module.register_forward_pre_hook(lambda module, _: modes.add((module.training, torch.is_grad_enabled())))
    return modes


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_filters_are_dropped_out_in_gradient_steps_of_cloning_alone(played, algorithm):
    learner = clone(played[0], algorithm)
    learner.study(played[1])
    modes = modes_of(learner.policy)
    learner.update(None)
    assert modes == {(True, True), (False, False)}  # it is examined without
    student = learner.student().policy
    seen = played[1].observation(torch.arange(16).numpy())
    acted = [student.act(seen, student.initial_state(16), False, None).action for _ in range(3)]
    assert all(torch.equal(acted[0], again) for again in acted)


@pytest.mark.parametrize(
    ("algorithm", "config"),
    [
        (PPO, PPOConfig(n_steps=8, minibatch_size=8, epochs=1, num_envs=2)),
        (DQN, DQNConfig(train_every=8, batch_size=8, learning_starts=8, num_envs=2, buffer_size=64)),
    ],
    ids=["ppo", "dqn"],
)
def test_who_learns_from_its_own_play_drops_nothing_out(algorithm, config):
    agent = algorithm("Hakisa/Press-v0", config, network="spatial", env_options=PICTURES, seed=1, threads=1)
    modes = modes_of(agent.policy)
    agent.learn(48)
    assert {mode for mode, _ in modes} == {False}
    assert (False, True) in modes


def test_what_is_dropped_out_goes_on_bit_for_bit(tmp_path, played):
    def learn(checkpoint=None, stop=8, folder=None):
        learner = clone(played[0])
        learner.study(played[1])
        trainer = Trainer(learner, None)
        trainer.checkpoints = folder
        trainer.callbacks = [lambda trainer, metrics: trainer.step < stop]
        if checkpoint is not None:
            assert trainer.load_state(checkpoint.state)
        trainer.train()
        return learner.policy.state_dict()

    torch.manual_seed(1)
    whole = learn()
    torch.manual_seed(2)  # what others draw makes no difference
    learn(stop=4, folder=tmp_path)
    again = learn(load_checkpoint(tmp_path))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
