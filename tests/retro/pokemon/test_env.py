"""`Hakisa/Monsters-v0`: episodes end as they should, pay what they should, and repeat."""

import json
import pickle
import subprocess
import sys
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

helpers = pytest.importorskip("tests.retro.pokemon.helpers")
from hakisa_algos import PPO, Agent  # noqa: E402
from hakisa_algos.learners.ppo_config import PPOConfig  # noqa: E402
from hakisa_envs.errors import UnknownOptionError  # noqa: E402
from hakisa_envs.retro.errors import RomError, StateError  # noqa: E402
from hakisa_envs.retro.game_files import Variable  # noqa: E402
from hakisa_envs.retro.library import ENVS  # noqa: E402
from hakisa_envs.retro.movie import open_movie, pads_of_movie  # noqa: E402
from hakisa_envs.retro.pokemon.rewards import Part, RewardTable, table_of  # noqa: E402
from hakisa_envs.retro.remote import RemoteEmulator  # noqa: E402

NOTHING, A, UP, DOWN, LEFT, RIGHT = 0, 1, 3, 6, 9, 12
SAVE_1 = Variable(0x03005D8C, "<u4")


@pytest.fixture
def make():
    """Makes Monsters envs, and closes them."""
    made = []

    def monsters(name="Hakisa/Monsters-v0", **options):
        env = gym.make(name, **{"start_frames": 0, "observation": "state", **options})
        made.append(env)
        return env

    yield monsters
    for env in made:
        env.close()


def emulator_of(env):
    return env.unwrapped._game.open()


def test_three_tiles_are_walked_in_24_frames_and_paid(make):
    env = make()
    _, info = env.reset(seed=1)
    assert (info["map"], info["x"], info["y"], info["badges"], info["start"]) == ((0, 0), 7, 9, 0, "start")
    _, reward, terminated, truncated, info = env.step(RIGHT)
    assert (info["x"], info["y"], info["frames"], terminated, truncated) == (10, 9, 24, False, False)
    assert reward == info["reward_tile"] == pytest.approx(0.03)  # one decision is in one place
    assert env.step(LEFT)[1] == 0.0


def test_until_control_a_decision_is_a_tile_and_waits_for_doors(make):
    env = make(until_control=120, state="route.1")
    env.reset(seed=1)
    info = env.step(UP)[4]
    assert (info["y"], info["frames"]) == (13, 9)
    env.step(DOWN)
    info = env.step(DOWN)[4]
    assert (info["map"], info["x"], info["y"]) == ((0, 0), 8, 1)
    assert 20 < info["frames"] < 60


def test_an_episode_is_cut_after_its_length_and_won_by_its_goal(make):
    env = make(episode_length=2)
    env.reset(seed=1)
    assert env.step(NOTHING)[2:4] == (False, False)
    *_, terminated, truncated, info = env.step(NOTHING)
    assert (terminated, truncated) == (False, True)
    assert "outcome" not in info
    with pytest.raises(gym.error.ResetNeeded):
        env.unwrapped.step(NOTHING)
    env.close()
    env = make(episode_length=2, goal=2, state="badge.1")
    assert env.reset(seed=1)[1]["outcome"] == "loss"
    flags = emulator_of(env).read(SAVE_1) + 0x1270
    emulator_of(env).write(Variable(flags + (0x868 >> 3), "|u1"), 1)
    *_, terminated, truncated, info = env.step(NOTHING)
    assert (terminated, truncated, info["outcome"], info["reward_badge"]) == (True, False, "win", 10.0)


@pytest.mark.parametrize("pointer", [0, 0x0203FFF0, 0x08000000])
def test_a_lost_pointer_keeps_the_last_values_and_pays_nothing(make, pointer):
    env = make(reward=RewardTable((Part("tile", "set", "tile", 1.0), Part("badge", "first", "badges", 1.0))))
    env.reset(seed=1)
    emulator = emulator_of(env)
    before = emulator.read(SAVE_1)
    emulator.write(SAVE_1, pointer)
    observation, reward, *_, info = env.step(NOTHING)
    assert (info["read"], info["x"], info["y"], reward) == (False, 7, 9, 0.0)
    assert env.observation_space.contains(observation)
    emulator.write(SAVE_1, before)
    assert env.step(NOTHING)[4]["read"]


@pytest.mark.parametrize("options", [{}, {"observation": "both", "sticky": 0.25, "visited_map": True}])
def test_the_same_seed_and_actions_are_the_same_after_a_restore_and_beside_another(make, options, journey):
    def play(env, actions, start=True):
        return ([env.reset(seed=7)] if start else []) + [env.step(int(action)) for action in actions]

    options = {"observation": "pixels", "start_frames": 30, "name": ENVS[journey], **options}
    if options["observation"] == "both" and journey == helpers.MONSTERS:
        options["state"] = "oak"
    actions = np.random.default_rng(4).integers(15, size=40)
    one = make(**options)
    first = play(one, actions[:25])
    kept = pickle.loads(pickle.dumps(one.unwrapped.get_state()))
    after = play(one, actions[25:], start=False)
    two = make(**options)  # in a process of its own, since this one has an emulator
    assert_same(play(two, actions[:25]), first)
    assert isinstance(emulator_of(two), RemoteEmulator)
    three = make(**options)
    three.unwrapped.set_state(kept)
    assert_same([three.unwrapped.step(int(action)) for action in actions[25:]], after)


def assert_same(rows, others):
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert row[1:] == other[1:]
        for mine, theirs in zip(
            *(list(o.values()) if isinstance(o, dict) else [o] for o in (row[0], other[0])), strict=True
        ):
            assert (mine == theirs).all()


def test_a_state_is_plain_values_and_survives_json_but_for_arrays(make):
    env = make(visited_map=True)
    env.reset(seed=1)
    env.step(LEFT)

    def check(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                check(part)
        else:
            assert value is None or type(value) in (int, float, str, bool, bytes, np.ndarray), type(value)

    check(env.unwrapped.get_state())


def test_the_visited_map_shows_where_the_player_was(make):
    env = make(visited_map=True)
    seen = env.reset(seed=1)[0]["visited"]
    assert (seen.shape, seen.sum(), seen[0, 24, 24]) == ((1, 48, 48), 255, 255)
    seen = env.step(RIGHT)[0]["visited"]
    assert np.argwhere(seen[0]).tolist() == [[24, 21], [24, 24]]


def test_an_emulator_that_died_cuts_the_episode_short_and_the_next_reset_opens_another(make):
    one, two = make(), make()

    def kill():
        process = emulator_of(two)._process
        process.kill()
        process.wait()

    one.reset(seed=1)
    seen = two.reset(seed=1)[0]
    kill()
    observation, reward, terminated, truncated, info = two.step(NOTHING)
    assert (observation == seen).all()
    assert (reward, terminated, truncated, info["transition"], info["counted"]) == (0.0, False, True, False, False)
    assert "SIGKILL" in info["failure"]
    two.reset(seed=1)
    kill()
    two.reset(seed=1)
    assert not two.step(NOTHING)[3]


def test_an_episodes_movie_plays_again_exactly(make, tmp_path):
    env = make(movies=tmp_path, state="oak", episode_length=12, start_frames=30, render_mode="rgb_array")
    env.reset(seed=3)
    pictures = []
    for action in np.random.default_rng(1).integers(15, size=12):
        env.step(int(action))
        pictures.append(env.render())
    memory = emulator_of(env).inspect(dict)
    env.close()
    with open_movie(tmp_path / "oak-000001.bk2") as emulator:
        shown = []
        for (pad,) in pads_of_movie(tmp_path / "oak-000001.bk2", emulator):
            emulator.hold(pad)
            emulator.advance()
            shown.append(emulator.picture())
        assert emulator.inspect(dict) == memory
    assert all((mine == theirs).all() for mine, theirs in zip(shown[-1::-24], pictures[::-1], strict=False))


@pytest.mark.parametrize(
    "options",
    [
        {"observation": "pixels"},
        {"observation": "state", "actions": "heads"},
        {"observation": "both", "visited_map": True, "frame_stack": 3, "frame_size": (40, 60)},
        {"observation": "pixels", "visited_map": True, "until_control": 60, "reward": "dvruette"},
    ],
)
def test_gymnasiums_checker(make, options):
    env = make(render_mode="rgb_array", **options)
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=1)
    assert env.render().shape == (160, 240, 3)


def test_making_one_opens_nothing():
    program = (
        "import sys, gymnasium as gym\n"
        "env = gym.make('hakisa_envs:Hakisa/Monsters-v0')\n"
        "env.observation_space, env.action_space\n"
        "assert 'stable_retro' not in sys.modules\n"
        "env.close(); env.close()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=600)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"frame_skp": 2}, UnknownOptionError, "did you mean 'frame_skip'"),
        ({"reward": "our"}, ValueError, "'ours'"),
        ({"frame_skip": 1}, ValueError, "frame_skip=1"),
        ({"until_control": 4}, ValueError, "until_control=4"),
        ({"sticky": 2}, ValueError, "sticky=2"),
        ({"goal": 9}, ValueError, "goal=9"),
        ({"observation": "ram"}, ValueError, "'state'"),
        ({"frame_size": (80, 300)}, ValueError, "frame_size=300"),
        ({"frame_size": 84}, ValueError, "frame_size=84"),
    ],
)
def test_wrong_options_are_named(make, options, error, says):
    with pytest.raises(error, match=says):
        make(**options)


def test_a_state_that_is_not_there_is_named(make):
    with pytest.raises(StateError, match=r"badge\.1"):
        make(state="nobody").reset()


def test_without_the_users_rom_the_error_says_how_to_import_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    env = gym.make("Hakisa/PokemonEmerald-v0")
    with pytest.raises(RomError, match=r"(?s)f3ae088181bf583e55daf962a92bb46f4f1d07b7.*hakisa retro import"):
        env.reset()


def test_an_action_of_another_space_is_refused(make):
    env = make()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="Discrete"):
        env.unwrapped.step(15)


def test_many_in_processes():
    envs = gym.make_vec("Hakisa/Monsters-v0", 2, observation="state")
    try:
        first, _ = envs.reset(seed=[1, 2])
        assert first.shape == (2, 51)
        observations, rewards, *_ = envs.step(np.array([RIGHT, NOTHING]))
        assert (observations[0] != first[0]).any()
        assert rewards.tolist() == pytest.approx([0.03, 0.0])
    finally:
        envs.close()


def test_milestones_are_said_once_kept_and_begun_at(make, tmp_path):
    env = make(state="route.1", until_control=120)
    env.unwrapped.milestone_folder = str(tmp_path)
    assert "milestone" not in env.reset(seed=1)[1]
    infos = [env.step(action)[4] for action in (UP, DOWN, DOWN, DOWN, UP, UP, UP, DOWN, DOWN)]
    assert [info["map"] for info in infos[1:5]] == [(0, 1), (0, 0), (0, 0), (0, 0)]
    assert [info.get("milestone") for info in infos] == [None, None, "map.0.0", *[None] * 6]
    assert [info["place"] for info in infos] == [(*info["map"], info["x"], info["y"]) for info in infos]
    progress = [info["progress"] for info in infos]
    assert progress == sorted(progress)
    assert progress[2] > progress[0] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["map.0.0.state"]
    env.unwrapped.next_start = str(tmp_path / "map.0.0.state")
    info = env.reset()[1]
    assert (info["map"], info["x"], info["y"], info["start"], info["progress"]) == ((0, 0), 8, 1, "map.0.0", 0.0)
    assert "milestone" not in env.step(DOWN)[4]
    env.unwrapped.next_start = None
    assert env.reset()[1]["start"] == "route.1"


def test_an_episode_that_was_cut_is_carried_on_and_no_other(make):
    env = make(episode_length=2)
    env.unwrapped.carry_on = 1.0
    env.reset(seed=1)
    env.step(RIGHT)
    _, _, _, truncated, last = env.step(DOWN)
    assert truncated
    stored = env.unwrapped.get_state()
    seen, info = env.reset()
    where = [last[name] for name in ("map", "x", "y")]
    assert where != [(0, 0), 7, 9]
    assert [info[name] for name in ("map", "x", "y")] == where
    assert (info["start"], info["progress"]) == ("start, carried on", 0.0)
    assert not any(value for name, value in info.items() if name.startswith("reward_"))
    assert env.step(NOTHING)[1] == 0.0  # where it stands is nothing new
    assert env.reset()[1]["start"] == "start"  # it was left in the middle
    env.step(NOTHING)
    env.step(NOTHING)
    assert env.reset(options={"state": "oak"})[1]["start"] == "oak"

    other = make(episode_length=2)
    other.unwrapped.carry_on = 1.0
    other.unwrapped.set_state(stored)
    again, info = other.reset()
    assert info["start"] == "start, carried on"
    assert (again == seen).all()


def test_an_episode_that_was_won_is_not_carried_on(make):
    env = make(state="badge.1", goal=1)
    env.unwrapped.carry_on = 1.0
    env.reset(seed=1)
    assert env.step(NOTHING)[2]
    assert env.reset()[1]["start"] == "badge.1"


def test_a_share_of_episodes_is_carried_on(make):
    env = make(episode_length=1)
    env.unwrapped.carry_on = 0.5
    starts = []
    env.reset(seed=3)
    for _ in range(60):
        env.step(NOTHING)
        starts.append(env.reset()[1]["start"])
    assert set(starts) == {"start", "start, carried on"}
    assert 15 < starts.count("start") < 45


def test_what_helps_is_declared(make):
    assert make(observation="pixels").metadata["assists"] == ()
    told = make(state="oak", visited_map=True, until_control=60).metadata["assists"]
    assert len(told) == 4
    assert "episodes start at oak" in told


def test_a_run_with_a_table_of_your_own_goes_on(tmp_path):
    table = RewardTable((Part("tile", "set", "tile", 1.0), Part("level", "maximum", "best level", 0.2, 9)), (5.0, 0.3))
    config = PPOConfig(num_envs=2, n_steps=8, minibatch_size=16, total_steps=32)

    def agent():
        options = {"reward": table, "observation": "state"}
        return closing(PPO("Hakisa/Monsters-v0", config, seed=3, env_options=options))

    with agent() as straight, agent() as halves:
        straight.learn()
        halves.learn(run=tmp_path / "run", callbacks=[lambda trainer, metrics: trainer.step < 16])
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["env_options"]
    assert table_of(stored["reward"]) == table
    with closing(Agent.load(tmp_path / "run")) as again:
        again.learn()
    for one, other in zip(*(each.policy.state_dict().values() for each in (straight, again)), strict=True):
        assert (one == other).all()
    assert straight.steps == again.steps == 32
