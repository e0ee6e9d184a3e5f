"""``Hakisa/ScreenGame-v0`` as users of Gymnasium, Stable-Baselines3 and hakisa's own trainers meet it."""

import functools
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

import hakisa_envs
from hakisa_envs.vector import ProcessVectorEnv

ENV_ID = "Hakisa/ScreenGame-v0"


def test_gymnasium_check_env_passes_in_a_dry_run(where):
    env = gym.make(ENV_ID, game="flash", render_mode="rgb_array", **where | {"armed": False})
    check_env(env.unwrapped)
    env.close()
    env.close()


def test_stable_baselines3_check_env_passes_in_a_dry_run():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gym.make(ENV_ID, game="flash", armed=False, render_mode="rgb_array")
    checker.check_env(env.unwrapped, warn=True, skip_render_check=False)
    env.close()


def test_spec_json_remakes_the_environment(where):
    env = gym.make(ENV_ID, game="flash", rate=20.0, **where)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    assert spec.nondeterministic
    again = gym.make(spec)
    assert again.unwrapped.rate == 20.0
    assert again.unwrapped.backend.name == env.unwrapped.backend.name
    assert again.observation_space == env.observation_space


@pytest.mark.parametrize("mode", [None, "sync", "vector_entry_point"])
def test_make_vec(mode):
    envs = gym.make_vec(ENV_ID, 2, vectorization_mode=mode, game="flash", armed=False)
    assert isinstance(envs, ProcessVectorEnv) == (mode != "sync")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.spec.nondeterministic
    single = gym.make(ENV_ID, game="flash")
    assert envs.single_action_space == single.action_space
    assert type(envs.single_action_space) is type(single.action_space)
    assert envs.single_observation_space == single.observation_space
    assert envs.metadata["frame_stack"] == single.metadata["frame_stack"]
    observations, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(observations)
    observations, rewards, terminations, truncations, _ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(observations)
    assert rewards.dtype == np.float64
    assert terminations.dtype == truncations.dtype == np.bool_
    assert gym.make_vec(envs.spec).num_envs == 2
    envs.close()
    envs.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_that_know_nothing_make_the_environment(method):
    make = functools.partial(gym.make, f"hakisa_envs:{ENV_ID}", game="flash", armed=False)
    envs = AsyncVectorEnv([make], context=method, shared_memory=False)
    try:
        observations, _ = envs.reset(seed=3)
        assert envs.observation_space.contains(observations)
        assert envs.step(envs.action_space.sample())[4]["failure"].tolist() == [""]
    finally:
        envs.close()


def test_the_trainers_of_hakisa_take_games_that_run_side_by_side():
    vectorize = pytest.importorskip("hakisa_algos.data.vectorize")
    envs = vectorize.make_envs(ENV_ID, 2, {"game": "flash"})
    assert isinstance(envs, ProcessVectorEnv)
    assert vectorize.reset_mode(envs) is vectorize.ResetMode.MASKED
    assert not vectorize.is_deterministic(envs)
    envs.close()


def test_a_game_must_be_named():
    with pytest.raises(TypeError, match="game"):
        gym.make(ENV_ID)


def test_importing_and_making_import_nothing_that_needs_a_display():
    code = (
        "import sys, gymnasium, hakisa_envs\n"
        f"gymnasium.make('{ENV_ID}', game='flash')\n"
        "print([name for name in ('torch', 'mss', 'hakisa_algos') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["Xlib.display", "mss"])
def test_a_missing_extra_prints_the_line_that_installs_it(monkeypatch, module):
    env = gym.make(ENV_ID, game="flash", armed=False)
    monkeypatch.setitem(sys.modules, module, None)  # what an import of it then raises is ImportError
    with pytest.raises(hakisa_envs.MissingExtraError, match=r'pip install "hakisa\[screen\]"'):
        env.reset()
    env.close()
