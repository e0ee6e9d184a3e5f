"""Several Fighters in one process, as other people's code makes them: each is what it is alone."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

helpers = pytest.importorskip("tests.retro.helpers")
pytestmark = pytest.mark.module("stable_baselines3")

OPTIONS = {"observation": "ram", "states": ["rusher.hard.left", "zoner.normal.right"]}


def make():
    return gym.make("hakisa_envs:Hakisa/Fighter-v0", **OPTIONS)


def test_columns_of_a_vector_env_in_one_process_play_as_each_does_alone():
    columns = 3
    envs = SyncVectorEnv([make] * columns)
    try:
        envs.action_space.seed(0)
        actions = [envs.action_space.sample() for _ in range(40)]
        together = [envs.reset(seed=[1, 2, 3])[0], *(envs.step(action)[0] for action in actions)]
    finally:
        envs.close()
    for column in range(columns):
        env = make()
        try:
            alone = [env.reset(seed=1 + column)[0], *(env.step(action[column])[0] for action in actions)]
        finally:
            env.close()
        assert np.array_equal(np.stack(together)[:, column], np.stack(alone))


def test_sb3_trains_on_several_and_evaluates_on_another_in_the_same_process():
    import stable_baselines3 as sb3
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.env_util import make_vec_env

    envs, judge = make_vec_env(make, n_envs=2, seed=1), make_vec_env(make, n_envs=1, seed=2)
    try:
        callback = EvalCallback(judge, n_eval_episodes=1, eval_freq=32, deterministic=False, verbose=0)
        model = sb3.PPO("MlpPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, device="cpu", seed=1)
        model.learn(64, callback=callback)
        assert model.num_timesteps == 64
        assert np.isfinite(callback.last_mean_reward)
    finally:
        envs.close()
        judge.close()
