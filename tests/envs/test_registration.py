"""Every id but the live one, as users of Gymnasium and Stable-Baselines3 meet it. Warnings are errors here."""

import functools
import importlib.util
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

import hakisa_envs
from hakisa_envs.registration import SPECS, register_all

needs_retro = pytest.mark.skipif(
    importlib.util.find_spec("stable_retro") is None, reason='the extra "retro" is not installed'
)
CASES = [
    pytest.param("Hakisa/Press-v0", {}, id="press-vector"),
    pytest.param("Hakisa/Press-v0", {"observation": "pixels", "grid_size": 5}, id="press-pixels"),
    pytest.param("Hakisa/Pong-v0", {}, id="pong"),
    pytest.param(
        "Hakisa/Pong-v0",
        {"difficulty": 3, "sticky": 0.25, "frame_size": 42, "frame_stack": 2, "paddle_reward": 0.5},
        id="pong-options",
    ),
    pytest.param("Hakisa/Fighter-v0", {}, id="fighter", marks=needs_retro),
    pytest.param(
        "Hakisa/Fighter-v0",
        {"observation": "ram", "actions": "buttons", "sticky": 0.25, "states": ["zoner.hard.left", "versus"]},
        id="fighter-options",
        marks=needs_retro,
    ),
    pytest.param("Hakisa/Monsters-v0", {}, id="monsters", marks=needs_retro),
    pytest.param(
        "Hakisa/Monsters-v0",
        {"observation": "state", "actions": "heads", "sticky": 0.25, "until_control": 60, "state": "port"},
        id="monsters-options",
        marks=needs_retro,
    ),
]

# Live games need an X server and are never the same twice: tests/screen/test_registration.py is about them. Street
# Fighter II, Emerald and Red need ROMs that are not ours, and a replay needs a recording (tests/recording).
NEEDS_A_FILE = {"Hakisa/StreetFighter2-v0", "Hakisa/PokemonEmerald-v0", "Hakisa/PokemonRed-v0", "Hakisa/Replay-v0"}
EMULATED = {"Hakisa/Fighter-v0", "Hakisa/Monsters-v0"}
KNOWN = [spec.id for spec in SPECS if not spec.nondeterministic and spec.id not in NEEDS_A_FILE]
IDS = [pytest.param(known, marks=needs_retro if known in EMULATED else ()) for known in KNOWN]


def trajectory(env, steps=25, seed=11):
    env.action_space.seed(seed)
    rows = [env.reset(seed=seed)]
    for _ in range(steps):
        rows.append(env.step(env.action_space.sample()))
    return rows


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:] == other[1:]


def test_the_cases_cover_every_id():
    assert {case.values[0] for case in CASES} == set(KNOWN)


@pytest.mark.parametrize(("env_id", "options"), CASES)
def test_gymnasium_check_env(env_id, options):
    env = gym.make(env_id, **options)
    check_env(env.unwrapped)
    env.close()
    env.close()


@pytest.mark.parametrize(("env_id", "options"), CASES)
def test_stable_baselines3_check_env(env_id, options):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(gym.make(env_id, **options).unwrapped, warn=True, skip_render_check=False)


@pytest.mark.parametrize(("env_id", "options"), CASES)
def test_two_environments_of_one_seed_are_equal_and_other_seeds_differ(env_id, options):
    first, second = gym.make(env_id, **options), gym.make(env_id, **options)
    reference = trajectory(first)
    assert_same(trajectory(second), reference)
    assert_same(trajectory(first), reference)  # what was played before leaves no trace
    other = trajectory(second, seed=12)
    assert any((a[0] != b[0]).any() for a, b in zip(reference, other, strict=True))


@pytest.mark.parametrize(("env_id", "options"), CASES)
def test_pickle_and_spec_json_remake_the_environment(env_id, options):
    env = gym.make(env_id, **options)
    reference = trajectory(env)
    assert_same(trajectory(pickle.loads(pickle.dumps(env))), reference)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    assert_same(trajectory(gym.make(spec)), reference)


@pytest.mark.parametrize("env_id", IDS)
def test_every_render_mode(env_id):
    for mode in gym.make(env_id).metadata["render_modes"]:
        env = gym.make(env_id, render_mode=mode)
        env.reset(seed=0)
        frame = env.render()
        if mode == "rgb_array":
            assert frame.dtype == np.uint8
            assert frame.ndim == 3
            assert frame.shape[2] == 3
            assert frame.any()
        else:
            assert isinstance(frame, str)
            assert frame


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("mode", [None, "sync", "vector_entry_point"])
def test_make_vec(env_id, mode):
    env = gym.make_vec(env_id, 2, vectorization_mode=mode)
    of_processes = env_id in EMULATED
    entry = "hakisa_envs.vector" if of_processes else gym.spec(env_id).vector_entry_point.split(":")[0]
    assert type(env).__module__ == ("gymnasium.vector.sync_vector_env" if mode == "sync" else entry)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    single = gym.make(env_id)
    assert env.single_action_space == single.action_space
    assert type(env.single_action_space) is type(single.action_space)
    assert env.single_observation_space == single.observation_space
    assert env.metadata.get("frame_stack") == single.metadata.get("frame_stack")
    observations, _ = env.reset(seed=0)
    assert env.observation_space.contains(observations)
    observations, rewards, terminations, truncations, _ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observations)
    assert rewards.dtype == np.float64
    assert terminations.dtype == truncations.dtype == np.bool_
    assert gym.make_vec(env.spec).num_envs == 2
    env.close()
    env.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("env_id", IDS)
def test_children_that_know_nothing_make_the_environment(method, env_id):
    make = functools.partial(gym.make, f"hakisa_envs:{env_id}")
    env = AsyncVectorEnv([make], context=method, shared_memory=False)
    try:
        observations, _ = env.reset(seed=3)
        np.testing.assert_array_equal(observations[0], make().reset(seed=3)[0])
        env.step(env.action_space.sample())
    finally:
        env.close()


def test_registering_again_changes_nothing_and_warns_of_nothing():
    before = {spec.id: gym.registry[spec.id] for spec in SPECS}
    register_all()
    assert all(gym.registry[env_id] is spec for env_id, spec in before.items())


def test_importing_imports_nothing_heavy():
    code = (
        "import sys, hakisa_envs, hakisa_envs.press, hakisa_envs.atari, hakisa_envs.screen\n"
        "print([name for name in ('torch', 'cv2', 'ale_py', 'mss', 'Xlib', 'hakisa_algos') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["ale_py", "cv2"])
def test_a_missing_extra_prints_the_line_that_installs_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)  # what an import of it then raises is ImportError
    with pytest.raises(hakisa_envs.MissingExtraError, match=r'pip install "hakisa\[atari\]"'):
        gym.make("Hakisa/Pong-v0")
