"""What users bring along from other libraries, from NumPy, or half remembered: it is taken, or said what is meant."""

import logging

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv

from hakisa_algos import A2C, DQN, GA, PPO, Agent
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ga import GAConfig
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.options import RunOptions
from tests.helpers.counting import CountingEnv
from tests.policy.test_encoding import CONFIGS

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)


async def later(trainer, metrics):
    return False


def yielding(trainer, metrics):
    yield False


class Later:
    async def __call__(self, trainer, metrics):
        return False


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PPO("MlpPolicy", CountingEnv()),
            "'MlpPolicy' is no env: ppo takes an env, and then its hyper",
        ),
        (
            lambda: DQN("CnnPolicy", "CartPole-v1"),
            "'CnnPolicy' is no env: dqn takes an env.*: a DQNConfig; the",
        ),
        (lambda: PPO("MultiInputPolicy"), "'MultiInputPolicy' is no env"),
        (lambda: PPO("CartPole-v1", "MlpPolicy"), "ppo takes a PPOConfig, not a str; ppo takes an env, and then"),
        (lambda: GA("CartPole-v1", CountingEnv()), "ga takes a GAConfig, not a CountingEnv; ga takes an env"),
        (lambda: A2C("CartPole-v1", {"gamma": 1}), r"a2c takes a A2CConfig, not a dict; write A2CConfig\(\*\*"),
        (lambda: PPO("CartPole-v1", learning_rate=1e-3), r"pass PPOConfig\(learning_rate=\.\.\.\) as config"),
        (lambda: PPO("CartPole-v1", verbose=1), "an agent has no verbose=1. learn"),
        (lambda: PPO("CartPole-v1", policy_kwargs={}), "no policy_kwargs={}. Networks are config.network"),
        (lambda: PPO("CartPole-v1", seeed=1), "an agent has no seeed=1. Did you mean 'seed'"),
        (
            lambda: PPO("CartPole-v1", SMALL).learn(total_timesteps=9),
            r"'total_timesteps' here. Write learn",
        ),
        (lambda: PPO("CartPole-v1", SMALL).learn(32, callback=print), "'callback' here. Write callbacks="),
        (lambda: PPO("CartPole-v1", SMALL).learn(32, callbacks=3), "callbacks: 3 is none; it must be a function"),
        (
            lambda: PPO("CartPole-v1", SMALL).learn(32, callbacks=[print, "x"]),
            "callbacks: 'x' is none; it must be",
        ),
        *(
            (
                lambda callback=callback: PPO("CartPole-v1", SMALL).learn(32, callbacks=callback),
                "callbacks: .* is none; it must be a function",
            )
            for callback in (dict, later, yielding, lambda metrics: None, lambda: None, [Later()])
        ),
        (
            lambda: PPO("CartPole-v1", SMALL).learn(32, sinks=[print]),
            "sinks: .*print.* is none; it must be some",
        ),
    ],
)
def test_habits_of_other_libraries_are_answered(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_numbers_of_numpy_are_numbers(algorithm, tmp_path):
    config = CONFIGS[algorithm]
    values = {
        name: kind(value)
        for name, value in vars(config).items()
        for plain, kind in ((bool, np.bool_), (int, np.int64), (float, np.float32))
        if type(value) is plain
    }
    values["hidden_sizes"] = tuple(np.array([8]))
    same = type(config)(**vars(config) | values)
    assert {type(value) for value in vars(same).values()} <= {bool, int, float, str, tuple, type(None)}
    agent = Agent("CartPole-v1", same, algorithm=algorithm, seed=np.int64(3))
    assert agent.seed == 3
    agent.learn(np.int32(32), run=tmp_path / "run", evaluate_every=np.int64(0), checkpoint_every=np.uint8(16))
    assert type(Agent.load(tmp_path / "run").config.num_envs) is int


def test_what_is_no_number_stays_none():
    for wrong in (True, np.bool_(True), np.float64(1.5), "4"):
        with pytest.raises(ConfigError, match="n_steps="):
            PPOConfig(n_steps=wrong)
        with pytest.raises(ConfigError, match="seed="):
            PPO("CartPole-v1", SMALL, seed=wrong)
    with pytest.raises(ConfigError, match=r"hidden_sizes=\(8.0,\)"):
        PPOConfig(hidden_sizes=(np.float64(8.0),))


class Gathering:
    """A sink."""

    def __init__(self):
        self.steps = []

    def write(self, step, metrics):
        self.steps.append(step)

    def close(self):
        pass


@pytest.mark.parametrize(
    ("algorithm", "no"), [*((name, np.False_) for name in CONFIGS), ("ppo", False), ("ppo", np.bool_(0))]
)
def test_one_callback_without_a_list_stops_with_any_false(no, algorithm):
    sink = Gathering()
    agent = Agent("CartPole-v1", CONFIGS[algorithm], algorithm=algorithm)
    agent.learn(10_000, callbacks=lambda trainer, metrics: no, sinks=sink)
    assert agent.stopped_by == "callback"
    assert sink.steps == [agent.steps]
    assert PPO("CartPole-v1", SMALL).learn(32, callbacks=None).steps == 32


class Ended(Exception):
    pass


@pytest.mark.parametrize(
    ("raised", "algorithm"),
    [*((Ended, name) for name in CONFIGS), (SystemExit, "dqn"), (KeyboardInterrupt, "ppo"), (KeyboardInterrupt, "ga")],
)
def test_what_was_learned_before_a_callback_raises_is_saved(raised, algorithm, tmp_path):
    def callback(trainer, metrics):
        if trainer.step >= 64:
            raise raised("enough")

    agent = Agent("CartPole-v1", CONFIGS[algorithm], algorithm=algorithm)
    with pytest.raises(raised, match="enough") as caught:
        agent.learn(10_000, run=tmp_path / "run", callbacks=callback)
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == agent.steps >= 64
    assert any(f"until step {agent.steps:,} is saved in {tmp_path / 'run'}" in note for note in caught.value.__notes__)
    assert Agent.load(tmp_path / "run").learn(agent.steps + 16).steps > agent.steps


class Failing(CountingEnv):
    """Breaks down at its ``when``-th step."""

    steps, when = 0, 60

    def step(self, action):
        self.steps += 1
        if self.steps == self.when:
            raise Ended("the game is broken")
        return super().step(action)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_what_was_learned_before_an_env_raises_is_saved(algorithm, tmp_path):
    agent = Agent(Failing, CONFIGS[algorithm], algorithm=algorithm)
    with pytest.raises(Ended, match="broken"):
        agent.learn(10_000, run=tmp_path / "run")
    state = load_checkpoint(tmp_path / "run" / "checkpoints").state
    assert state["step"] == agent.steps > 0
    assert state["learner"]["version"] >= 1
    Agent.load(tmp_path / "run", CountingEnv).learn(agent.steps + 16)


@pytest.mark.parametrize(
    ("agent", "steps", "options", "said"),
    [
        (
            lambda: PPO("CartPole-v1", SMALL).learn(64),
            64,
            {},
            "nothing is left to do: the run has 64 steps, and total",
        ),
        (lambda: PPO("CartPole-v1", SMALL).learn(64), 32, {}, "the run has 64 steps, and total_steps=32"),
        (lambda: DQN("CartPole-v1", CONFIGS["dqn"]).learn(16), 16, {}, "nothing is left to do"),
        (lambda: GA("CartPole-v1", CONFIGS["ga"]).learn(16), 16, {}, "nothing is left to do"),
        (
            lambda: DQN("CartPole-v1", DQNConfig(num_envs=2, hidden_sizes=(4,))),
            700,
            {},
            "nothing will be learned: learning starts after learning_starts=1,000 steps, and the run ends at",
        ),
        (
            lambda: DQN("CartPole-v1", DQNConfig(num_envs=2, hidden_sizes=(4,), learn_beside=True)),
            1000,
            {},
            "learning starts after learning_starts=1,000 steps",
        ),
        (
            lambda: PPO("CartPole-v1", SMALL),
            64,
            {"evaluate_every": 1000},
            "evaluate_every=1,000 is never reached by",
        ),
    ],
)
def test_what_will_not_happen_is_said(agent, steps, options, said, caplog):
    agent = agent()
    with caplog.at_level(logging.WARNING):
        agent.learn(steps, **options)
    (message,) = (text for text in caplog.messages if "action masks" not in text)
    assert said in message


@pytest.mark.parametrize(
    ("agent", "steps", "options"),
    [
        (lambda: DQN("CartPole-v1", DQNConfig(num_envs=2, hidden_sizes=(4,), gradient_steps=1)), 1000, {}),
        (lambda: PPO("CartPole-v1", SMALL), 40, {"evaluate_every": 50, "evaluate_episodes": 1, "evaluate_steps": 3}),
        (lambda: PPO("CartPole-v1", SMALL).learn(32), 64, {}),
    ],
)
def test_what_does_happen_is_not(agent, steps, options, caplog):
    """With its last collection a run goes a little beyond its end."""
    agent().learn(steps, **options)
    assert not caplog.messages


def shared(kind):
    env = CountingEnv()
    vector = SyncVectorEnv([lambda: env])
    return {
        "itself": (env, env),
        "wrapped": (env, gym.wrappers.TimeLimit(env, 5)),
        "in a vector env": (env, vector),
        "of a vector env": (vector, env),
        "the same vector env": (vector, vector),
        "by a callable": (env, lambda: env),
        "by the callable": (lambda: env, None),
        "no other": (env, None),
        "no other vector env": (vector, None),
        "other observations": (env, "Acrobot-v1"),
        "not registered": (env, "CartPol-v1"),
        "a callable of none": (env, lambda: None),
    }[kind]


SHARED = r"evaluation (would disturb|must not disturb)"
KINDS = [
    "itself",
    "wrapped",
    "in a vector env",
    "of a vector env",
    "the same vector env",
    "by a callable",
    "by the callable",
]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        *((kind, SHARED) for kind in [*KINDS, "by the callable", "no other", "no other vector env"]),
        ("other observations", r"eval_env has the observation space Box\(\(6,\), float32\), but the agent learns with"),
        ("not registered", "env id 'CartPol-v1' is not registered"),
        ("a callable of none", "the callable returned None"),
    ],
)
def test_what_cannot_be_evaluated_in_is_refused_before_the_first_step(kind, message, tmp_path):
    env, eval_env = shared(kind)
    agent = PPO(env, PPOConfig(num_envs=1, n_steps=16, minibatch_size=16), eval_env=eval_env)
    with pytest.raises(ConfigError, match=message):
        agent.learn(64, run=tmp_path / "run", evaluate_every=50_000)
    assert agent.steps == 0
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=message):
        agent.evaluate(1)
    agent.learn(32)  # and the env that is trained in is still open


def test_a_minibatch_of_one_row_is_learned_from():
    """One row has no deviation to be scaled by; its own mean taken from it, nothing would be left."""
    for config in (
        PPOConfig(num_envs=2, n_steps=8, minibatch_size=1, epochs=1),
        PPOConfig(num_envs=1, n_steps=9, minibatch_size=8, epochs=1),
    ):
        agent = PPO("CartPole-v1", config, seed=1)
        lone, differentiate = [], agent.learner._loss

        def loss(observation, part, *rest, differentiate=differentiate, lone=lone):
            total, terms = differentiate(observation, part, *rest)
            if len(part) == 1:
                lone.append(terms["policy_loss"].item())
            return total, terms

        agent.learner._loss = loss
        agent.learn(config.num_envs * config.n_steps)
        assert len(lone) == {1: 16, 8: 1}[config.minibatch_size]
        assert all(lone)


def test_a_rollout_of_one_row_is_refused_where_it_would_be_scaled():
    with pytest.raises(ConfigError, match=r"nothing from rollouts of a single row.*or normalize_advantage=False"):
        PPO("CartPole-v1", PPOConfig(num_envs=1, n_steps=1))
    weights = PPO("CartPole-v1", PPOConfig(num_envs=1, n_steps=1, normalize_advantage=False)).policy.state_dict()
    assert all(isinstance(tensor, torch.Tensor) for tensor in weights.values())


def test_options_of_numpy():
    assert RunOptions(evaluate_every=np.int64(5)) == RunOptions(evaluate_every=5)
    assert GAConfig(population=np.int16(9)).population == 9
