"""Bad input gets an error that names the value, the rule and the fix."""

import numpy as np
import pytest
from gymnasium.envs.registration import register, registry
from gymnasium.wrappers import TimeLimit

from hakisa_algos.agent import A2C, PPO, Agent, config_from
from hakisa_algos.data.vectorize import why_not_from_file
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.ppo_config import A2CConfig, PPOConfig
from hakisa_algos.training.checkpoint import Checkpoints
from tests.helpers.counting import CountingEnv

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)
DECIDED = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, action_masks=False)  # what an agent found out


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return PPO("CartPole-v1", SMALL).save(tmp_path_factory.mktemp("errors") / "run")


def test_an_unknown_option():
    with pytest.raises(ConfigError, match=r"PPOConfig has no option 'learning_rat'. Did you mean 'learning_rate'"):
        config_from(PPOConfig, {"learning_rat": 1e-3})
    with pytest.raises(TypeError, match="learning_rat"):
        PPOConfig(learning_rat=1e-3)


def test_options_come_back_from_plain_values():
    assert config_from(PPOConfig, {"hidden_sizes": [3, 4], "gamma": 0.5}) == PPOConfig(hidden_sizes=(3, 4), gamma=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Agent("CartPole-v1"), "Agent needs algorithm=, such as"),
        (lambda: Agent("CartPole-v1", algorithm="pop"), r"algorithm 'pop' is unknown\. Did you mean 'ppo'"),
        (lambda: A2C("CartPole-v1", PPOConfig()), "a2c takes a A2CConfig, not a PPOConfig"),
        (lambda: PPO("CartPole-v1", {"gamma": 0.9}), "ppo takes a PPOConfig, not a dict"),
        (lambda: PPO("CartPol-v1"), "env id 'CartPol-v1' is not registered.*Did you mean 'CartPole-v1'"),
        (lambda: PPO("Pendulum-v1"), "action space Box.*is not supported"),
        (lambda: PPO("Blackjack-v1"), r"observation space Tuple.* is not supported.*--env module:Id"),
        (lambda: PPO("CartPole-v1", PPOConfig(network="natur")), "unknown network 'natur'. Did you mean 'nature'"),
        (lambda: PPO("CartPole-v1", PPOConfig(network="nature")), "needs uint8 pictures"),
        (lambda: PPO("CartPole-v1", PPOConfig(precision="fp16")), "precision='fp16' is unknown"),
        (lambda: PPO("CartPole-v1", env_options={"mass": 1}), "CartPole-v1 does not take the options {'mass': 1}"),
        (lambda: PPO("CartPole-v1", threads=0), "threads=0 must be greater than 0, or None"),
        (lambda: PPO("CartPole-v1", seed=-1), "seed=-1 must be a whole number from 0"),
        (lambda: PPO("CartPole-v1", device="cuda:99"), r"device='cuda:99' is not to be had here \(.*use auto or cpu"),
        (lambda: PPO(CountingEnv(), env_options={"longest": 1}), r"options \['longest'\] need an env id"),
    ],
)
def test_what_does_not_fit_together(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint_replay": "nope"}, "checkpoint_replay='nope' is unknown. Choices: 'latest', 'never'"),
        ({"checkpoint_every": -1}, "checkpoint_every=-1 must not be negative"),
        ({"evaluate_every": 0.5}, r"evaluate_every=0\.5 must be a whole number"),
        ({"evaluate_episodes": 0}, "evaluate_episodes=0 must be greater than 0"),
        ({"evaluate_evry": 5}, "RunOptions has no option 'evaluate_evry'. Did you mean 'evaluate_every'"),
        ({"tensorboard": True}, "tensorboard and wandb write into a run folder: say which by run="),
        ({"device": "meta"}, r"device='meta' comes too late, since this agent is on cpu already; give device= where"),
    ],
)
def test_what_learn_does_not_take(options, message):
    agent = PPO("CartPole-v1", SMALL)
    with pytest.raises(ConfigError, match=message):
        agent.learn(64, **options)
    assert agent.steps == 0


def test_seeds_of_evaluations():
    with pytest.raises(ConfigError, match="seed=-1"):
        PPO("CartPole-v1", SMALL).evaluate(1, seed=-1)


def test_an_env_object_needs_another_one_for_evaluation():
    agent = PPO(CountingEnv(), SMALL)
    with pytest.raises(ConfigError, match="pass eval_env=, or make the agent from an env id or a callable"):
        agent.evaluate(1)
    with pytest.raises(ConfigError, match="pass eval_env="):
        agent.learn(64, evaluate_every=16)


def test_evaluation_in_the_training_env_is_refused_before_anything_is_trained(tmp_path):
    env = CountingEnv()
    agents = (PPO(env, SMALL), PPO(env, SMALL, eval_env=env), PPO(env, SMALL, eval_env=TimeLimit(env, 5)))
    env.seeds.clear()  # it was reset to see whether it gives action masks
    for agent in agents:
        with pytest.raises(ConfigError, match=r"evaluation must not disturb|eval_env is the env that is trained in"):
            agent.learn(64, run=tmp_path / "run", evaluate_every=1000)
        with pytest.raises(ConfigError):
            agent.evaluate(1)
    assert env.seeds == []
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_algorithm(saved):
    with pytest.raises(CheckpointError, match=r"holds algorithm 'ppo', not 'a2c'; use Agent\.load"):
        A2C.load(saved)


def test_a_checkpoint_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="nothing"):
        PPO.load(tmp_path / "nothing")
    foreign = Checkpoints(tmp_path / "foreign")
    foreign.save({"step": 1, "weights": np.zeros(3)})
    foreign.close()
    for face in (PPO, Agent):
        with pytest.raises(CheckpointError, match="foreign names no algorithm"):
            face.load(tmp_path / "foreign")


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint(tmp_path, name):
    path = PPO("CartPole-v1", SMALL).save(tmp_path / "run") / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        PPO.load(tmp_path / "run")


def test_a_checkpoint_for_another_env(saved):
    with pytest.raises(ConfigError, match=r"was trained on .*Discrete\(2\).* has .*Discrete\(3\)"):
        PPO.load(saved, "Acrobot-v1")


def test_a_checkpoint_of_an_env_object_asks_for_it(tmp_path):
    PPO(CountingEnv, SMALL).save(tmp_path / "run")
    with pytest.raises(ConfigError, match="trained on an env object or a callable; pass it again as env="):
        PPO.load(tmp_path / "run")
    assert PPO.load(tmp_path / "run", CountingEnv).config == DECIDED


def test_a_checkpoint_does_not_choose_what_is_imported(tmp_path, monkeypatch):
    """An id with a module in it would import that module, so that a file could run code of its choice."""
    (tmp_path / "evil_module.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    state = PPO("CartPole-v1", SMALL)
    state._env = "evil_module:Evil-v0"
    state.save(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"names the env 'evil_module:Evil-v0', whose module would be imported"):
        PPO.load(tmp_path / "run")


class Launcher(CountingEnv):
    metadata = CountingEnv.metadata | {"launches_programs": True}


def test_a_checkpoint_does_not_choose_what_program_is_started(tmp_path):
    """The id of a live game needs no module, but its options name a profile, and that a command."""
    register("Own/Launcher-v0", Launcher)
    try:
        PPO("Own/Launcher-v0", SMALL, env_options={"longest": 3}).save(tmp_path / "run")
        with pytest.raises(ConfigError, match=r"'Own/Launcher-v0', which starts programs, with options \{'longest'"):
            PPO.load(tmp_path / "run")
        assert PPO.load(tmp_path / "run", "Own/Launcher-v0").config == DECIDED
    finally:
        del registry["Own/Launcher-v0"]
    assert why_not_from_file("Hakisa/ScreenGame-v0") == "which starts programs"
    assert why_not_from_file("Hakisa/Pong-v0") is None


def test_an_id_with_a_module_is_taken_from_the_user(tmp_path):
    register("Own/Counting-v0", "tests.helpers.counting:CountingEnv")
    try:
        PPO("tests.helpers.counting:Own/Counting-v0", SMALL).save(tmp_path / "run")
        assert PPO.load(tmp_path / "run", "tests.helpers.counting:Own/Counting-v0").config == DECIDED
    finally:
        del registry["Own/Counting-v0"]


def test_a2c_has_its_own_defaults():
    assert A2C("CartPole-v1").config == A2CConfig(action_masks=False)  # which it found out
