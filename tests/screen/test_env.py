"""The whole env on a real game of our own in a real X server."""

import copy
import os
import pickle
import signal
import time
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from Xlib import XK

from hakisa_envs.errors import UnknownOptionError
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.game import Launch
from hakisa_envs.screen.profile import load_profile

from .helpers import RawEvents, Screen, busy, game_window, open_fds, step_until_held, wait_until

NOOP, FLASH, LEFT, HOLD_LEFT, RELEASE_LEFT = [0, 0, 0], [1, 0, 0], [1, 1, 0], [2, 1, 0], [3, 1, 0]


@pytest.fixture(scope="module")
def shared(where):
    env = ScreenGameEnv("flash", render_mode="rgb_array", **where)
    yield env
    env.close()


@pytest.fixture
def env(shared):
    shared.reset(seed=0)
    return shared


@pytest.fixture
def person(env):
    """Another client on the env's display."""
    person = Screen(env._session.display.name)
    yield person
    person.close()


def test_constructing_opens_nothing(where):
    before = open_fds()
    env = ScreenGameEnv("flash", **where)
    assert open_fds() == before
    with pytest.raises(gym.error.ResetNeeded):
        env.step(NOOP)
    env.close()
    env.close()


def test_every_step_shows_what_its_action_did(where):
    # Slow, so that it holds on a busy machine too; benchmarks/screen_latency.py does it at 20 and 60 Hz.
    env = ScreenGameEnv("flash", rate=4.0, **where)
    _, info = env.reset()
    brightness = info["readings"]["flash"]
    for _ in range(6):
        observation, reward, terminated, truncated, info = env.step(FLASH)
        assert abs(info["readings"]["flash"] - brightness) > 100
        assert abs(int(observation[-1, 10, 10]) - info["readings"]["flash"]) < 3
        assert (reward > 0) == (info["readings"]["flash"] > brightness)
        assert sum(info["reward_parts"].values()) == reward
        assert not terminated
        assert not truncated
        brightness = info["readings"]["flash"]
        assert info["t_act_ns"] < info["t_obs_ns"]
    env.close()


def test_observations_own_their_memory(env):
    first, _ = env.reset()
    kept = first.copy()
    for _ in range(3):
        env.step(FLASH)
    assert np.array_equal(first, kept)


def test_stack_is_oldest_first_and_zero_before_the_episode(where):
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, observation=replace(profile.observation, stack=3, grey=False)), **where)
    observation, _ = env.reset()
    assert observation.shape == (9, 84, 84)
    assert env.metadata["frame_stack"] == (0, 3, "zero")
    assert not observation[:6].any()
    assert observation[6:].any()
    following = env.step(FLASH)[0]
    assert np.array_equal(following[3:6], observation[6:])
    assert not following[:3].any()
    env.close()


@pytest.mark.parametrize(
    ("display", "launch", "exclusive"),
    [("xvfb", True, False), (":1", True, False), ("xvfb", False, True), ("current", True, True)],
)
def test_a_game_that_a_second_env_would_find_too_is_declared_exclusive(display, launch, exclusive):
    profile = load_profile("flash")
    profile = profile if launch else replace(profile, launch=Launch())
    assert ScreenGameEnv(profile, display=display).metadata["exclusive"] is exclusive


@pytest.mark.parametrize("cell", [(0, 0), (31, 23), (7, 3)])
def test_click_hits_the_pixel_that_describe_names(env, cell):
    env.step([4, *cell])
    env.step(NOOP)
    picture = env.render()
    x, y = cell[0] * 10 + 5, cell[1] * 10 + 5
    assert env.describe([4, *cell]) == f"move the pointer to ({x}, {y}), then press the left button for 20 ms"
    assert tuple(picture[y, x]) == (30, 200, 30)


def test_held_keys_are_what_info_says_and_what_x_says(env, person):
    def hold():
        env.step(HOLD_LEFT)
        held = env.step(NOOP)[4]["held"]
        return held == ("Left",) and person.held() == {person.keycode(XK.XK_Left)}

    wait_until(hold)  # or a busy machine lets the lease end
    wait_until(lambda: not env.step(RELEASE_LEFT)[4]["held"])
    assert not person.held()


def test_keys_go_up_when_nobody_steps_and_the_next_info_says_so(env, person):
    env.step(HOLD_LEFT)
    wait_until(lambda: not person.held(), 1.0)
    info = env.step(NOOP)[4]
    assert "lease expired" in info["released"]
    assert info["missed"] > 0
    assert not info["transition"]
    assert info["counted"]  # it was played all the same, and what it paid belongs to the result


def test_reset_and_pause_let_go(env, person):
    for let_go in (env.reset, env.pause):
        step_until_held(env, HOLD_LEFT, person)
        let_go()
        assert not person.held()
    env.resume()


def test_episode_ends_as_the_profile_says_and_reset_begins_another(env):
    for _ in range(40):
        _, _, terminated, truncated, info = env.step(LEFT)
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["readings"]["bar"] < 0.05
    with pytest.raises(gym.error.ResetNeeded):
        env.step(NOOP)
    assert env.reset()[1]["readings"]["bar"] == 1.0


def test_pause_stops_the_game_and_resume_lets_it_go_on(env):
    pid = env._session._game.pid

    def state():
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0]

    env.pause()
    env.pause()
    assert wait_until(lambda: state() == "T")
    time.sleep(3 / env.rate)
    env.resume()
    assert wait_until(lambda: state() in "SR")
    info = env.step(NOOP)[4]
    assert (info["missed"] == 0 and info["transition"]) or busy()


def test_window_that_is_moved_covered_or_half_off_screen(env, person):
    window = game_window(person)
    reference = env.step(NOOP)[0]
    cover = person.window(0, 0, 30, 30, override=True)
    wait_until(lambda: env.step(NOOP)[4]["obscured"])
    cover.destroy()
    window.configure(x=0, y=-60)
    person.display.sync()
    info = env.step(NOOP)[4]
    assert info["readings"] == {"flash": None, "bar": 1.0}  # of the bar all is on the screen
    window.configure(x=-100, y=-60)
    person.display.sync()
    observation, _, _, truncated, info = env.step(NOOP)
    assert info["clipped"]
    assert not truncated
    assert not observation[-1, :20, :24].any()
    env.reset()
    assert not env.step(NOOP)[4]["clipped"]
    assert np.array_equal(env.step(NOOP)[0], reference)


def test_picture_that_is_black_is_flagged(env, person):
    assert not env.step(NOOP)[4]["black"]
    cover = person.window(0, 0, 320, 240, colour=0, override=True)
    wait_until(lambda: env.step(NOOP)[4]["black"])
    cover.destroy()
    person.display.sync()


def test_window_that_is_resized_is_flagged_and_restored(env, person):
    game_window(person).configure(width=200, height=100)
    person.display.sync()
    observation, _, _, truncated, info = env.step(NOOP)
    assert info["resized"]
    assert not truncated
    assert observation.shape == env.observation_space.shape
    env.reset()
    assert not env.step(NOOP)[4]["resized"]


@pytest.mark.parametrize("fault", ["moved", "resized", "half off the screen", "black", "hung"])
def test_key_goes_up_in_time_whatever_became_of_the_window(env, person, fault):
    window = game_window(person)
    cover = person.window(0, 0, 320, 240, colour=0, override=True) if fault == "black" else None
    if fault == "moved":
        window.configure(x=3, y=4)
    elif fault == "resized":
        window.configure(width=200, height=100)
    elif fault == "half off the screen":
        window.configure(x=-160)
    elif fault == "hung":
        os.kill(env.session._game.pid, signal.SIGSTOP)
    person.display.sync()
    assert step_until_held(env, HOLD_LEFT, person)[4]["held"] == ("Left",)
    wait_until(lambda: not person.held(), 1.0)  # nobody steps
    assert not env.session.input.report().held
    if cover is not None:
        cover.destroy()
        person.display.sync()
    env.reset()
    assert env.step(FLASH)[4]["failure"] == ""


def test_window_that_is_hidden_gets_no_keys_and_comes_back(env, person):
    window = game_window(person)
    env.step(HOLD_LEFT)
    window.unmap()
    person.display.sync()
    info = wait_until(lambda: (i := env.step(FLASH)[4])["obscured"] and i)
    assert info["refused"] or not info["focused"]
    wait_until(lambda: not person.held(), 1.0)
    env.reset()
    assert env.step(FLASH)[4]["focused"]


def test_focus_that_is_lost_is_told_and_taken_back_by_reset(env, person):
    env.step(HOLD_LEFT)
    other = person.window(0, 200, 10, 10, override=True)
    person.focus(other)
    wait_until(lambda: not person.held(), 1.0)
    info = env.step(FLASH)[4]
    assert "focus lost" in info["released"]
    assert not info["focused"]
    assert info["refused"] == 1 or (info["dropped"] == 1 and busy())  # late, it is not even tried
    assert not info["transition"]
    assert env.step(NOOP)[4]["refused"] == 0
    other.destroy()
    env.reset()
    assert env.step(NOOP)[4]["focused"]


@pytest.mark.parametrize("armed", [None, True])
def test_display_that_is_not_ours_is_never_touched_unless_armed(armed, on_desktop, screen):
    env = ScreenGameEnv("flash", **on_desktop | {"armed": armed})
    env.reset()
    window = game_window(screen)
    raw, before = RawEvents(screen.display), screen.display.get_input_focus().focus
    readings = [env.step(action)[4]["readings"] for action in (FLASH, HOLD_LEFT, [4, 5, 5], FLASH)]
    env.pause()
    env.resume()
    env.reset()
    env.close()
    assert (raw.count() > 0) == bool(armed)
    if not armed:
        assert readings == [{"flash": 20.0, "bar": 1.0}] * 4
        assert before != window
    else:
        assert readings[-1]["bar"] < 1.0


def test_two_envs_never_cross(env):
    other = ScreenGameEnv("flash")
    other.reset()
    for _ in range(3):
        wait_until(lambda: env.step(FLASH)[4]["readings"]["flash"] > 200)
        assert other.step(NOOP)[4]["readings"] == {"flash": 20.0, "bar": 1.0}
    other.close()


def test_env_is_picklable_and_copies_are_closed(where):
    env = ScreenGameEnv("flash", rate=12.0, **where)
    for other in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert other.rate == 12.0
        assert other.profile.name == "flash"
        assert (other.backend.name, other.armed) == (env.backend.name, env.armed)
        other.close()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"game": "flsh"}, ProfileError, "did you mean 'flash'"),
        ({"game": "flash", "dispaly": "xvfb"}, UnknownOptionError, "did you mean 'display'"),
        ({"game": "flash", "display": "xvbf"}, ValueError, "xvfb"),
        ({"game": "flash", "armed": "yes"}, ValueError, "armed"),
        ({"game": "flash", "episode": "life"}, ValueError, "episode"),
        ({"game": "flash", "rate": 0}, ValueError, "rate"),
    ],
)
def test_wrong_options_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        ScreenGameEnv(**options)


def test_repeated_open_and_close_leaks_nothing(where):
    import threading

    def one_round():
        env = ScreenGameEnv("flash", **where)
        env.reset()
        env.step(FLASH)
        env.close()

    one_round()
    before = open_fds(), threading.active_count()
    one_round()
    assert (open_fds(), threading.active_count()) == before
