"""The VecEnv for Stable-Baselines3: what SB3's own would give for the same envs, and nothing that was not played."""

import os
import signal
import subprocess
import sys
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv, VectorWrapper

sb3 = pytest.importorskip("stable_baselines3")

from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: E402

import hakisa_envs  # noqa: E402, F401 (registers the ids)
from hakisa_envs.contract import CONTRACT, MASKED_RESET, VERSION  # noqa: E402
from hakisa_envs.sb3 import PauseCallback, SB3VecEnv  # noqa: E402
from hakisa_envs.vector import ProcessVectorEnv  # noqa: E402
from tests.helpers.counting import CountingEnv  # noqa: E402
from tests.helpers.processes import gone, wait_until  # noqa: E402

DIE = 2


class Mortal(CountingEnv):
    """Dies of an action; never ends otherwise."""

    def __init__(self):
        super().__init__(longest=1, ends=("terminated",))

    def step(self, action):
        if action == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        observation, reward, *_ = super().step(action)
        return observation, reward, False, False, {}


class Pausable(CountingEnv):
    """Shows in place of its column how often it was paused, and resumed as tens; ``events`` lists both."""

    def __init__(self, longest=6):
        super().__init__(longest=longest, metadata={CONTRACT: VERSION, "render_modes": []})
        self.events = []

    def pause(self):
        self.column += 1
        self.events.append("pause")

    def resume(self):
        self.column += 10
        self.events.append("resume")


class Numbered(Pausable):
    """Ends after the step in which it is told to."""

    def step(self, action):
        observation, reward, *_ = super().step(0)
        return observation, reward, bool(action), False, {}


@pytest.fixture
def closing():
    made = []
    yield lambda envs: made.append(envs) or envs
    for envs in made:
        envs.close()


def vec(closing, make, n=2):
    return closing(SB3VecEnv(ProcessVectorEnv([make] * n)))


def test_rows_and_infos_are_those_of_sb3s_own_vec_env(closing):
    ours = closing(SB3VecEnv(ProcessVectorEnv([partial(CountingEnv, column) for column in range(3)])))
    theirs = DummyVecEnv([lambda column=column: Monitor(CountingEnv(column)) for column in range(3)])
    assert ours.seed(11) == theirs.seed(11)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    ends = set()
    for t in range(60):
        actions = np.array([t % 3, t % 2, 1])
        (mine, *our_rest), (others, *their_rest) = ours.step(actions), theirs.step(actions)
        np.testing.assert_array_equal(mine, others)
        for got, wanted in zip(our_rest[:2], their_rest[:2], strict=True):
            np.testing.assert_array_equal(got, wanted)
            assert got.dtype == wanted.dtype
        for got, wanted in zip(our_rest[2], their_rest[2], strict=True):
            assert got["TimeLimit.truncated"] is bool(wanted["TimeLimit.truncated"])
            assert ("terminal_observation" in got) == ("terminal_observation" in wanted)
            if "terminal_observation" in wanted:
                np.testing.assert_array_equal(got["terminal_observation"], wanted["terminal_observation"])
                ends.add(got["TimeLimit.truncated"])
                assert {key: got["episode"][key] for key in "rl"} == {key: wanted["episode"][key] for key in "rl"}
                assert got["episode"]["t"] > 0
            else:
                assert "episode" not in got
    assert ends == {True, False}
    assert not ours.not_transitions.any()


def test_seeds_and_options_are_used_once(closing):
    envs = vec(closing, CountingEnv)
    envs.seed(4)
    first = envs.reset()
    assert (envs.reset()[:, 1] != first[:, 1]).all()
    envs.seed(4)
    np.testing.assert_array_equal(envs.reset(), first)
    envs.set_options([{"one": 1}, {}])
    with pytest.raises(ValueError, match="same options"):
        envs.reset()


def test_what_is_returned_does_not_change_later(closing):
    envs = vec(closing, CountingEnv)
    first = envs.reset()
    kept = first.copy()
    second = envs.step([1, 1])[0]
    second[:] = -1
    np.testing.assert_array_equal(first, kept)
    assert (envs.step([1, 1])[0] != -1).any()


def test_others_are_paused_while_one_is_reset_and_none_stays_so(closing):
    envs = vec(closing, Numbered)
    envs.reset()
    assert envs.step([0, 0])[0][:, 0].tolist() == [0, 0]
    envs.step([1, 0])
    assert envs.reset_seconds > 0
    assert envs.step([0, 0])[0][:, 0].tolist() == [11, 11]


def test_row_of_a_game_that_was_lost_ends_with_the_last_thing_it_showed(closing):
    envs = vec(closing, Mortal)
    envs.reset()
    before = envs.step([1, 1])[0]
    observations, rewards, dones, infos = envs.step([DIE, 1])
    assert dones.tolist() == [True, False]
    assert rewards[0] == 0
    assert infos[0]["TimeLimit.truncated"] is True
    assert "died" in infos[0]["failure"]
    np.testing.assert_array_equal(infos[0]["terminal_observation"], before[0])
    assert infos[0]["episode"]["l"] == 2
    assert observations[0, 2:].tolist() == [0, 0]  # of a new episode
    assert observations[1, 2:].tolist() == [2, 2]
    assert envs.not_transitions.tolist() == [1, 0]


def test_game_that_is_found_dead_when_it_is_paused_ends_an_episode_like_any_other(closing):
    envs = vec(closing, Numbered)
    envs.reset()
    before = envs.step([0, 0])[0]
    pid = envs.envs.pids[1]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    envs.env_method("pause")
    envs.env_method("resume")
    observations, rewards, dones, infos = envs.step([0, 0])
    assert dones.tolist() == [False, True]
    assert rewards[1] == 0
    assert infos[1]["TimeLimit.truncated"] is True
    assert "died" in infos[1]["failure"]
    np.testing.assert_array_equal(infos[1]["terminal_observation"], before[1])
    assert infos[1]["episode"]["l"] == 2
    assert observations[:, 2].tolist() == [2, 0]
    observations, _, dones, _ = envs.step([0, 1])
    assert observations[0, 2] == 3
    assert dones.tolist() == [False, True]
    assert envs.not_transitions.tolist() == [0, 1]


class Late(CountingEnv):
    """Calls every row too late to be a transition, and ends with the second."""

    def __init__(self):
        super().__init__(longest=1, metadata={CONTRACT: VERSION, "render_modes": []})

    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, self.count == 2, False, {"transition": False, "counted": True}


def test_last_row_that_came_late_shows_what_it_showed(closing):
    envs = vec(closing, Late, n=1)
    envs.reset()
    envs.step([1])
    _, _, dones, infos = envs.step([1])
    assert dones.tolist() == [True]
    assert infos[0]["terminal_observation"][2:].tolist() == [2, 2]
    assert envs.not_transitions.tolist() == [2]


class OwnPause(CountingEnv):
    """Has methods of these names that mean something else, and says nothing of a contract."""

    calls = ()

    def pause(self):
        self.calls = (*self.calls, "pause")

    def resume(self):
        self.calls = (*self.calls, "resume")


def test_a_strangers_own_pause_is_not_called():
    env = OwnPause(metadata={"hakisa_contract": 0})
    model = sb3.PPO("MlpPolicy", DummyVecEnv([lambda: env]), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    model.learn(16, callback=PauseCallback())
    assert env.calls == ()


def test_attributes_and_methods_of_the_envs(closing):
    envs = vec(closing, Pausable, n=3)
    assert envs.get_attr("longest", [0, 2]) == [6, 6]
    assert envs.get_attr("num_envs", 1) == [3]
    assert envs.env_method("has_wrapper_attr", "longest") == [True] * 3
    assert envs.has_attr("pause")
    assert envs.has_attr("longest")
    assert not envs.has_attr("shortest")
    with pytest.raises(AttributeError, match="shortest"):
        envs.get_attr("shortest")
    with pytest.raises(ValueError, match=r"indices=\[0\]"):
        envs.env_method("pause", indices=[0])
    with pytest.raises(NotImplementedError, match="longest cannot be set"):
        envs.set_attr("longest", 7)
    assert envs.render_mode is None
    assert envs.get_images() == [None] * 3
    wrapped = SB3VecEnv(VectorWrapper(envs.envs))
    assert wrapped.has_attr("pause")
    assert wrapped.get_attr("longest") == [6] * 3


def test_vector_env_without_single_envs_says_so(closing):
    envs = closing(SB3VecEnv(gym.make_vec("Hakisa/Press-v0", 2)))
    assert not envs.has_attr("pause")
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        envs.get_attr("nothing_of_that_name")
    with pytest.raises(AttributeError, match="no single envs with 'pause'"):
        envs.env_method("pause")


def test_sb3_learns_and_evaluates_on_it(closing):
    envs = closing(SB3VecEnv(gym.make_vec("Hakisa/Press-v0", 2)))
    model = sb3.PPO("MlpPolicy", envs, n_steps=32, batch_size=32, n_epochs=1, seed=1, device="cpu")
    model.learn(256, callback=PauseCallback())
    assert model.num_timesteps == 256
    assert {episode["l"] for episode in model.ep_info_buffer} == {32}
    mean, _ = evaluate_policy(model, envs, n_eval_episodes=2)  # warns, and fails, where there is no Monitor
    assert 0 <= mean <= 32


def test_games_are_paused_round_every_update_and_left_running():
    env = Pausable()
    model = sb3.PPO("MlpPolicy", DummyVecEnv([lambda: env]), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    train = model.train
    model.train = lambda: (env.events.append("train"), train())
    model.learn(16, callback=PauseCallback())
    assert env.events == ["resume", "pause", "train", "resume", "pause", "train", "resume"]
    assert 0 < model.logger.name_to_value["live/paused_share"] < 1


def test_what_cannot_reset_single_columns_is_refused():
    with pytest.raises(ValueError, match="SyncVectorEnv cannot reset single columns"):
        SB3VecEnv(SyncVectorEnv([CountingEnv]))
    stranger = SyncVectorEnv([lambda: CountingEnv(metadata={"hakisa_contract": 0})])
    stranger.metadata = {**stranger.metadata, MASKED_RESET: True}
    with pytest.raises(ValueError, match="does not declare metadata"):
        SB3VecEnv(stranger)
    envs = gym.make_vec("Hakisa/Press-v0", 2)
    envs.single_observation_space = gym.spaces.Dict({"a": envs.single_observation_space})
    with pytest.raises(ValueError, match="must be arrays"):
        SB3VecEnv(envs)


def test_missing_extra_names_the_line_that_installs_it():
    source = "import sys; sys.modules['stable_baselines3'] = None; import hakisa_envs.sb3"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith('pip install "hakisa[sb3]"')
