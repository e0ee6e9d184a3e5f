"""Agents that act by masks: how they find out, that they obey everywhere, and that they go on as before."""

import functools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hakisa_algos import DQN, GA, PPO, PQN, Agent
from hakisa_algos.agent import config_from
from hakisa_algos.comparison.plan import RANDOM, Job, Protocol
from hakisa_algos.comparison.players import make_player
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError
from hakisa_algos.film import film
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.policy.observations import MASK
from hakisa_algos.training.evaluate import evaluate
from tests.helpers.learning import assert_same
from tests.helpers.masked import ACTIONS, CONDITIONAL, MaskedEnv, allowed_after, masked_envs

CONFIGS = {
    "ppo": {"n_steps": 32, "epochs": 2, "minibatch_size": 40, "normalize_observation": True},
    "a2c": {"n_steps": 16},
    "reinforce": {"n_steps": 32},
    "dqn": {"buffer_size": 400, "learning_starts": 50, "train_every": 32, "gradient_steps": 2, "hidden_sizes": (8,)},
    "pqn": {"n_steps": 32, "epochs": 2, "hidden_sizes": (8,), "normalize_observation": True},
    "ga": {"population": 6, "parents": 2, "candidates": 1, "validation_episodes": 2},
}


def config_of(name, **changes):
    return config_from(find_algorithm(name).config_class, {"total_steps": 600, "num_envs": 3} | CONFIGS[name] | changes)


class Unlike(MaskedEnv):
    """Columns that know nothing of their number, and live longer; what is forbidden raises."""

    def __init__(self, give="info"):
        super().__init__(0, give, longest=12)


class Conditional(Unlike):
    """The commands of a conditional space, masked likewise."""

    def __init__(self, give="info"):
        super().__init__(give)
        self.action_space = CONDITIONAL
        self.observation_space = spaces.Dict({"action_mask": self.observation_space})

    def _mask(self):
        mask = np.ones(10, np.int8)
        mask[:2] = super()._mask()[:2]
        mask[6:9] = super()._mask()[2:]
        return mask

    def reset(self, **options):
        observation, info = super().reset(**options)
        return {"action_mask": observation}, info

    def step(self, action):
        mask, self.dead = self._mask().astype(bool), 10**9
        command, key, cell = action
        assert mask[command]
        assert command != 1 or mask[3 + key]
        assert command != 2 or mask[7 + cell]
        observation, *rest = super().step(int(command))
        return {"action_mask": observation}, *rest


@pytest.mark.parametrize(
    "env", [Unlike, functools.partial(Unlike, "method"), Conditional], ids=["info", "method", "cond"]
)
@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_forbidden_is_done_in_training_and_evaluation(name, env):
    agent = Agent(env, config_of(name), algorithm=name, seed=1)
    assert agent.config.action_masks is True
    agent.learn()
    for deterministic in (True, False):
        agent.evaluate(6, deterministic=deterministic)
    assert agent.evaluate(3).lengths.min() >= 1
    agent.close()


def test_entropy_is_a_share_of_what_is_allowed():
    fractions = []
    PPO(Unlike, config_of("ppo")).learn(
        callbacks=[lambda _, metrics: fractions.append(metrics["train/entropy_fraction"])]
    )
    assert fractions[0] > 0.95


def test_without_masks_it_would_be_done():
    with pytest.raises(AssertionError, match="forbidden"):
        PPO(Unlike, config_of("ppo", action_masks=False)).learn()


def test_envs_without_masks_are_as_they_were():
    agent = PPO("CartPole-v1", config_of("ppo"))
    assert agent.config.action_masks is False
    assert agent.policy.observation.mask_size == 0
    with pytest.raises(ConfigError, match="CartPole-v1 gives no action masks"):
        PPO("CartPole-v1", config_of("ppo", action_masks=True))
    with pytest.raises(ConfigError, match="action_masks='yes' is unknown"):
        config_of("ppo", action_masks="yes")


def test_an_env_object_is_looked_at_itself():
    assert PPO(Unlike(), config_of("ppo")).config.action_masks is True
    assert DQN(masked_envs("foreign_next_step"), config_of("dqn")).config.action_masks is True


def test_q_learning_refuses_a_method_where_the_final_mask_is_gone():
    envs = SyncVectorEnv([functools.partial(Unlike, "method")] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    for name in ("dqn", "pqn"):
        with pytest.raises(ConfigError, match=f"{name} looks at"):
            Agent(envs, config_of(name), algorithm=name)
    PPO(envs, config_of("ppo")).learn(96)


@pytest.mark.parametrize("name", ["ppo", "a2c", "dqn", "pqn", "ga"])
def test_a_run_with_masks_resumes_bit_for_bit(tmp_path, name):
    def agent():
        return Agent(Unlike, config_of(name), algorithm=name, seed=4)

    whole = agent().learn(run=tmp_path / "whole")
    half = agent().learn(run=tmp_path / "half", callbacks=[lambda trainer, metrics: trainer.step < 300])
    assert 0 < half.steps < whole.steps
    again = Agent.load(tmp_path / "half", Unlike).learn()
    one, two = (a._trainer.state() for a in (whole, again))
    for state in (one, two):
        del state["identity"]
    assert_same(one, two)


def test_the_stored_decision_counts(tmp_path):
    masked, plain = (PPO(Unlike, config_of("ppo", action_masks=m)) for m in ("auto", False))
    masked.save(tmp_path / "masked")
    plain.save(tmp_path / "plain")
    assert PPO.load(tmp_path / "plain", Unlike).config.action_masks is False
    assert PPO.load(tmp_path / "masked", Unlike, config=config_of("ppo")).config.action_masks is True
    with pytest.raises(ConfigError, match="gives no action masks"):
        PPO.load(tmp_path / "masked", functools.partial(Unlike, "nothing"))
    with pytest.raises(ConfigError, match=r"config.action_masks cannot be changed from True to False"):
        PPO.load(tmp_path / "masked", Unlike, config={"action_masks": False})


def test_a_run_from_before_there_were_masks_goes_on_without(tmp_path, monkeypatch):
    agent = PPO(Unlike, config_of("ppo", action_masks=False))
    told = agent.identity()
    assert told["config"].pop("action_masks") is False
    monkeypatch.setattr(agent, "identity", lambda: told)
    agent.save(tmp_path / "old")
    assert PPO.load(tmp_path / "old", Unlike).config.action_masks is False


def test_predict_takes_a_mask():
    agent = PPO(Unlike, config_of("ppo"))
    env = Unlike()
    observation, info = env.reset(seed=1)
    batch = np.stack([observation] * 50)
    masks = np.stack([np.eye(ACTIONS)[i % ACTIONS] for i in range(50)])
    for deterministic in (True, False):
        actions, _ = agent.predict(batch, deterministic=deterministic, action_mask=masks)
        assert actions.tolist() == [i % ACTIONS for i in range(50)]
        one, _ = agent.predict(observation, deterministic=deterministic, action_mask=info["action_mask"])
        assert info["action_mask"][one]
    assert len(set(agent.predict(batch, deterministic=False)[0].tolist())) == ACTIONS
    with pytest.raises(ConfigError, match=r"action_mask has 4 entries; Discrete\(5\) needs 5"):
        agent.predict(observation, action_mask=np.ones(4))
    with pytest.raises(ConfigError, match="2 masks for 50 observations"):
        agent.predict(batch, action_mask=np.ones((2, 5)))
    with pytest.raises(ConfigError, match="allows no action"):
        agent.predict(observation, action_mask=np.zeros(5))
    with pytest.raises(ConfigError, match=r"of observation 1 allows no action: .*or give None for it"):
        agent.predict(batch[:2], action_mask=[np.ones(5), np.zeros(5)])
    with pytest.raises(ConfigError, match="of observation 1 has 4 entries"):
        agent.predict(batch[:2], action_mask=[np.ones(5), np.ones(4)])
    with pytest.raises(ConfigError, match="action_mask is 1 for 50 observations"):
        agent.predict(batch, action_mask=1)
    open_rows = [None if i < 40 else mask for i, mask in enumerate(masks)]  # as vector envs have it in some rows
    actions, _ = agent.predict(batch, deterministic=False, action_mask=open_rows)
    assert actions[40:].tolist() == [i % ACTIONS for i in range(40, 50)]
    assert len(set(actions[:40].tolist())) == ACTIONS
    for name in ("dqn", "ga"):  # also where the agent was not trained with masks
        other = Agent(Unlike, config_of(name, action_masks=False), algorithm=name)
        assert other.predict(batch, action_mask=masks)[0].tolist() == [i % ACTIONS for i in range(50)]


@pytest.mark.parametrize("mode", [None, AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("env", [Unlike, Conditional])
@pytest.mark.parametrize("network", [None, "own"])
@pytest.mark.parametrize("memory", [None, "lstm", "gru"])
def test_the_first_ratio_is_one(env, network, memory, mode):
    """Against the log-probability of the pass that chose the action; rows that only reset are among the others."""

    class Own(torch.nn.Module):
        features = 4

        def __init__(self, space):
            super().__init__()

        def forward(self, observation):
            return (observation["action_mask"] if isinstance(observation, dict) else observation) / 1e6

    remembering = {"memory": memory, "memory_size": 8, "memory_chunk": 16}
    envs = env if mode is None else SyncVectorEnv([env] * 3, autoreset_mode=mode)
    agent = PPO(envs, config_of("ppo", precision="fp32", **remembering), network=Own if network else None)
    seen = []
    policy = agent.policy
    draw = policy._draw

    def judged(*given):
        found = draw(*given)
        seen.append(found[1])
        return found

    if policy._small is None:
        policy._explore = judged
    loss, ratios = agent.learner._loss, []

    def watched(observation, part, *numbers):
        with torch.no_grad():
            ratios.append(policy(observation, numbers[-1])[0].log_prob(part.action) - part.log_prob)
        return loss(observation, part, *numbers)

    agent.learner._loss = watched
    agent.learn(96)
    assert (ratios[0].exp() - 1).abs().max() <= 1e-6
    assert (policy._small is None) == bool(seen)
    agent.close()


@pytest.fixture
def registered():
    gym.register("Own/Masked-v0", Rendered, max_episode_steps=9)
    yield "Own/Masked-v0"
    del gym.registry["Own/Masked-v0"]


class Rendered(Unlike):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode=None):
        super().__init__()
        self.metadata = Rendered.metadata
        self.render_mode = render_mode

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)


def test_films_obey(tmp_path, registered):
    pytest.importorskip("imageio_ffmpeg")
    agent = PPO(registered, config_of("ppo"))
    assert film(agent.policy, registered, {}, tmp_path / "film.mp4", seed=3).lengths[0] >= 1
    chance = make_player(Job(RANDOM, registered, 1, Protocol(steps=1)))
    for seed in range(3):
        assert film(chance.policy, registered, {}, tmp_path / "chance.mp4", seed=seed).lengths[0] >= 1


def test_comparisons_obey(registered):
    for name in (RANDOM, "ppo"):
        player = make_player(Job(name, registered, 1, Protocol(steps=1)))
        assert player.policy.observation.mask_size == ACTIONS
        evaluate(player.policy, make_envs(registered, 4), episodes=10, deterministic=name == RANDOM)
        player.close()


def test_workers_of_the_genetic_algorithm_obey():
    agent = GA(Unlike, config_of("ga", workers=1, tasks=2, total_steps=100))
    agent.learn()
    assert agent.policy.observation.mask_size == ACTIONS


def test_what_is_stored_is_what_was_allowed():
    agent = PQN(Unlike, config_of("pqn")).learn(96)
    rollout = agent._trainer.buffer.rollout(32)
    seen = rollout.observations()
    np.testing.assert_array_equal(seen[MASK], allowed_after(seen[""].numpy()))
