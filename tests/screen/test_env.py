"""The whole env on a real game of our own in a real X server."""

import copy
import os
import pickle
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import gymnasium as gym
import numpy as np
import pytest
from Xlib import XK, X

from hakisa_envs.errors import UnknownOptionError
from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError, Killed, ProfileError, ReaderError, ResetError, ScreenError
from hakisa_envs.screen.game import Actions, GameProfile, Launch, Reading, Step, Window
from hakisa_envs.screen.image import Region
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.readers import Brightness

from .helpers import RawEvents, Screen, gone, open_fds, wait_until

NOOP, FLASH, LEFT, HOLD_LEFT, RELEASE_LEFT = [0, 0, 0], [1, 0, 0], [1, 1, 0], [2, 1, 0], [3, 1, 0]

INPUT_MASK = (
    X.KeyPressMask | X.KeyReleaseMask | X.ButtonPressMask | X.ButtonReleaseMask | X.PointerMotionMask
)  # fmt: skip


@pytest.fixture(scope="module")
def shared():
    env = ScreenGameEnv("flash", render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture
def env(shared):
    shared.reset(seed=0)
    return shared


@pytest.fixture
def own():
    """An env that the test may break."""
    env = ScreenGameEnv("flash", timeout=0.5)
    env.reset()
    yield env
    env.close()


@pytest.fixture
def person(env):
    """Another client on the env's display."""
    person = Screen(env._session.display.name)
    yield person
    person.close()


def game_window(screen):
    return next(w for w in screen.root.query_tree().children if w.get_wm_name() == "Hakisa flash")


def test_constructing_opens_nothing():
    before = open_fds()
    env = ScreenGameEnv("flash")
    assert open_fds() == before
    with pytest.raises(gym.error.ResetNeeded):
        env.step(NOOP)
    env.close()
    env.close()


def test_every_step_shows_what_its_action_did():
    # Slow, so that it holds on a busy machine too; benchmarks/screen_latency.py does it at 20 and 60 Hz.
    env = ScreenGameEnv("flash", rate=4.0)
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


def test_stack_is_oldest_first_and_zero_before_the_episode():
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, observation=replace(profile.observation, stack=3, grey=False)))
    observation, _ = env.reset()
    assert observation.shape == (9, 84, 84)
    assert env.metadata["frame_stack"] == (0, 3, "zero")
    assert not observation[:6].any()
    assert observation[6:].any()
    following = env.step(FLASH)[0]
    assert np.array_equal(following[3:6], observation[6:])
    assert not following[:3].any()
    env.close()


@pytest.mark.parametrize("cell", [(0, 0), (31, 23), (7, 3)])
def test_click_hits_the_pixel_that_describe_names(env, cell):
    env.step([4, *cell])
    env.step(NOOP)
    picture = env.render()
    x, y = cell[0] * 10 + 5, cell[1] * 10 + 5
    assert env.describe([4, *cell]) == f"move the pointer to ({x}, {y}), then press the left button for 20 ms"
    assert tuple(picture[y, x]) == (30, 200, 30)


EVERY_COMMAND = {
    ("noop", 0, 0): [],
    ("tap", 1, 0): [("down", "Left"), ("up", "Left")],
    ("hold", 1, 0): [("down", "Left")],
    ("hold_only", 2, 0): [("up", "Left"), ("down", "Right")],
    ("hold", 0, 0): [("down", "space")],
    ("release", 0, 0): [("up", "space")],
    ("release_all", 0, 0): [("up", "Right")],
    ("move", 3, 5): [("at", 35, 55)],
    ("left_click", 0, 23): [("at", 5, 235), ("down", 1), ("up", 1)],
    ("right_click", 31, 0): [("at", 315, 5), ("down", 3), ("up", 3)],
    ("move_by", 0, 1): [("at", 308, 12)],
    ("button_tap", 1, 0): [("down", 3), ("up", 3)],
    ("button_hold", 0, 0): [("down", 1)],
    ("button_release", 0, 0): [("up", 1)],
    ("wheel", 1, 0): [("down", 4), ("up", 4)],
    ("wheel", 0, 0): [("down", 5), ("up", 5)],
}  # in this order: what is held goes up again


def test_every_command_reaches_the_window_as_a_real_device_would(xserver, screen):
    window = screen.window(0, 0, 320, 240, title="every command")
    window.change_attributes(event_mask=INPUT_MASK)
    commands = tuple(dict.fromkeys(name for name, *_ in EVERY_COMMAND))
    keys = ("space", "Left", "Right")
    actions = Actions(commands=commands, keys=keys, grid=(32, 24), steps=(-7, 7), rate=10.0)
    env = ScreenGameEnv(
        GameProfile("every", Path(), Window("^every command$"), actions=actions), display=xserver, armed=True
    )
    env.reset()
    names = {screen.keycode(XK.string_to_keysym(key)): key for key in keys}
    for (command, first, second), expected in EVERY_COMMAND.items():
        screen.events()
        env.step([commands.index(command), first, second])
        info = env.step([commands.index("noop"), 0, 0])[4]  # a tap has ended then
        happened = []
        for event in screen.events():
            if event.type == X.MotionNotify:
                happened.append(("at", event.event_x, event.event_y))
            elif event.type in (X.KeyPress, X.KeyRelease, X.ButtonPress, X.ButtonRelease):
                verb = "down" if event.type in (X.KeyPress, X.ButtonPress) else "up"
                is_key = event.type in (X.KeyPress, X.KeyRelease)
                happened.append((verb, names[event.detail] if is_key else event.detail))
                assert not event.send_event
        assert happened == expected, command
        assert (info["refused"], info["dropped"]) == (0, 0)
    assert not screen.held()
    env.close()
    window.destroy()


def test_held_keys_are_what_info_says_and_what_x_says(env, person):
    env.step(HOLD_LEFT)
    info = env.step(NOOP)[4]
    assert info["held"] == ("Left",)
    assert person.held() == {person.keycode(XK.XK_Left)}
    wait_until(lambda: not env.step(RELEASE_LEFT)[4]["held"])
    assert not person.held()


def test_keys_go_up_when_nobody_steps_and_the_next_info_says_so(env, person):
    env.step(HOLD_LEFT)
    wait_until(lambda: not person.held(), 1.0)
    info = env.step(NOOP)[4]
    assert "lease expired" in info["released"]
    assert info["missed"] > 0
    assert not info["transition"]


def test_reset_and_pause_let_go(env, person):
    for let_go in (env.reset, env.pause):
        env.step(HOLD_LEFT)
        assert person.held()
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
    assert info["missed"] == 0
    assert info["transition"]


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


def test_window_that_is_hidden_gets_no_keys_and_comes_back(env, person):
    window = game_window(person)
    env.step(HOLD_LEFT)
    window.unmap()
    person.display.sync()
    info = wait_until(lambda: (i := env.step(FLASH)[4])["obscured"] and i)
    assert info["refused"] or not info["focused"]
    assert not person.held()
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
    assert info["refused"] == 1
    assert not info["transition"]
    assert env.step(NOOP)[4]["refused"] == 0
    other.destroy()
    env.reset()
    assert env.step(NOOP)[4]["focused"]


@pytest.mark.parametrize("fault", ["game killed", "window closed", "server killed", "server stopped", "input stopped"])
def test_what_breaks_ends_the_episode_in_time_and_reset_repairs_it(own, fault):
    session = own._session
    own.step(HOLD_LEFT)
    eye = None if fault.startswith("server") else Screen(session.display.name)
    if fault == "game killed":
        os.kill(session._game.pid, signal.SIGKILL)
        wait_until(lambda: session._game.exit_code() is not None)
    elif fault == "window closed":
        person = Screen(session.display.name)
        game_window(person).destroy()
        person.display.sync()
        person.close()
    elif fault == "server killed":
        os.kill(session.display.server.pid, signal.SIGKILL)
        wait_until(lambda: session.display.server.exit_code() is not None)
    elif fault == "server stopped":
        os.kill(session.display.server.pid, signal.SIGSTOP)
    else:
        os.killpg(os.getpgid(session.input.pid), signal.SIGSTOP)
    began = time.monotonic()
    _, reward, terminated, truncated, info = own.step(HOLD_LEFT)
    assert time.monotonic() - began < 5.0
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "reset" in info["failure"]
    assert not info["transition"]
    if eye is not None:
        wait_until(lambda: not eye.held(), 1.0)
        eye.close()
    own.reset()
    assert own.step(FLASH)[4]["failure"] == ""


def test_keys_go_up_as_soon_as_a_stopped_x_server_that_is_not_ours_goes_on():
    keeper = Keeper()
    display = open_display("xvfb", (640, 480), keeper)
    env = ScreenGameEnv("flash", display=display.name, armed=True, timeout=0.5)
    env.reset()
    person = Screen(display.name)
    env.step(HOLD_LEFT)
    assert person.held()
    server = env.session.input.pid
    os.kill(display.server.pid, signal.SIGSTOP)
    assert env.step(NOOP)[3]
    os.kill(display.server.pid, signal.SIGCONT)
    wait_until(lambda: not person.held(), 1.0)
    wait_until(lambda: gone(server), 1.0)
    env.reset()
    assert env.step(HOLD_LEFT)[4]["held"] == ("Left",)
    person.close()
    env.close()
    keeper.close()


def test_game_that_hangs_is_flagged(own):
    own._session._game.pause()
    wait_until(lambda: own.step(FLASH)[4]["unchanged_s"] > 0.15)
    own._session._game.resume()


def test_fourth_failure_in_ten_minutes_raises(own):
    for _ in range(3):
        os.kill(own._session._game.pid, signal.SIGKILL)
        wait_until(lambda: own.step(NOOP)[3])
        own.reset()
    os.kill(own._session._game.pid, signal.SIGKILL)
    with pytest.raises(ScreenError, match="window is gone"):
        wait_until(lambda: own.step(NOOP)[3] and not own.reset())


class Thrower:
    """A reader that works for the reset and then raises."""

    count = 0

    def read(self, pixels):
        self.count += 1
        if self.count > 3:
            raise ZeroDivisionError("in a reader")
        return 0.0


def test_reader_that_throws_surfaces_with_its_cause_nothing_stays_down_and_reset_recovers():
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, readings=(*profile.readings, Reading("mine", Thrower())), reset=()))
    env.reset()
    person = Screen(env._session.display.name)
    with pytest.raises(ReaderError, match="'mine'") as caught:
        wait_until(lambda: env.step(HOLD_LEFT) is None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    wait_until(lambda: not person.held(), 1.0)
    person.close()
    assert env.reset()[1]["readings"]["mine"] == 0.0
    assert env.step(FLASH)[4]["failure"] == ""
    env.close()


def test_kill_chord_raises_at_once_and_holds_until_close(own):
    person = Screen(own._session.display.name)
    own.step(HOLD_LEFT)
    for keysym in (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12):
        person.display.xtest_fake_input(X.KeyPress, person.keycode(keysym))
    person.display.sync()
    with pytest.raises(Killed, match=r"Ctrl\+Shift\+F12"):
        wait_until(lambda: own.step(HOLD_LEFT) is None)
    assert person.keycode(XK.XK_Left) not in person.held()
    for again in (own.reset, lambda: own.step(NOOP)):
        with pytest.raises(Killed):
            again()
    person.close()
    own.close()
    own.reset()


def test_kill_chord_between_the_episodes_is_heard_by_reset():
    env = ScreenGameEnv(replace(load_profile("flash"), reset=()))  # no script, which would hear it by itself
    env.reset()
    person = Screen(env._session.display.name)
    for keysym in (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12):
        person.display.xtest_fake_input(X.KeyPress, person.keycode(keysym))
    person.display.sync()
    wait_until(lambda: env._session.input.report().killed)
    with pytest.raises(Killed):
        env.reset()
    person.close()
    env.close()


@pytest.mark.parametrize("armed", [None, True])
def test_display_that_is_not_ours_is_never_touched_unless_armed(armed, xserver, screen):
    env = ScreenGameEnv("flash", display=xserver, armed=armed)
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


def test_script_that_gets_nowhere_names_its_step_and_shows_what_was_seen():
    profile = load_profile("flash")
    step = Step(do="press", key="space", until=Condition.parse("bar < 0"), again=0.1, timeout=0.5)
    env = ScreenGameEnv(replace(profile, reset=(step,)))
    with pytest.raises(ResetError, match=r"reset\[0\]: 'bar < 0' did not come true; read was .*'bar': 1\.0") as caught:
        env.reset()
    picture = Path(str(caught.value).split()[-1])
    assert cv2.imread(str(picture)).shape == (240, 320, 3)
    picture.unlink()
    env.close()


@pytest.mark.parametrize(
    ("launch", "match"),
    [
        (Launch(command=("no-such-game",)), "not installed"),
        (Launch(command=("sh", "-c", "echo I cannot; exit 3")), "status 3.*I cannot"),
        (Launch(command=("sleep", "60")), "did not show its window"),
        (Launch(), "none on display"),
    ],
)
def test_game_that_does_not_start_is_explained(launch, match):
    profile = load_profile("flash")
    env = ScreenGameEnv(replace(profile, launch=launch, window=Window(profile.window.title, timeout=0.3)))
    with pytest.raises(ScreenError, match=match):
        env.reset()
    env.close()


@pytest.mark.parametrize(("key", "fix"), [("exclam", "'1'"), ("eacute", "not on the keyboard layout")])
def test_key_that_the_layout_lacks_is_named_with_profile_field_and_fix(key, fix):
    profile = load_profile("flash")
    script = (*profile.reset, Step(do="press", key=key))
    env = ScreenGameEnv(replace(profile, actions=replace(profile.actions, keys=("space", key)), reset=script))
    fields = rf"actions\.keys\[1\] = '{key}': reset\[2\]\.key = '{key}': "
    with pytest.raises(InputError, match=f"'flash' in .*{fields}.*{fix}"):
        env.reset()
    env.close()


def test_region_outside_a_window_whose_size_the_profile_leaves_open_is_named_by_reset():
    profile = load_profile("flash")
    far = Reading("far", Brightness(Region(300, 0, 21, 10)))
    profile = replace(profile, window=Window(profile.window.title), readings=(*profile.readings, far))
    env = ScreenGameEnv(profile)
    with pytest.raises(ProfileError, match=r"reading\.far\.region = \[300, 0, 21, 10\] must lie inside.* 320 x 240"):
        env.reset()
    env.close()


@pytest.mark.parametrize("where", ["beside the profile", "in its folder"])
def test_game_is_found_by_a_profile_with_a_relative_path_and_runs_where_it_wants(where, tmp_path, monkeypatch):
    """As in docs/your-own-game.md: the shell stands in the profile's folder, the game runs in another."""
    monkeypatch.chdir(tmp_path)
    flash = Path(sys.modules[ScreenGameEnv.__module__].__file__).with_name("games") / "flash.py"
    (tmp_path / "data").mkdir()
    (tmp_path / "play").write_text(f'#!/bin/sh\npwd > "{tmp_path}/ran_in"\nexec {sys.executable} {flash}\n')
    (tmp_path / "play").chmod(0o755)
    command = {"beside the profile": "./play", "in its folder": "{profile}/play"}[where]
    folder = 'folder = "data"' if where == "in its folder" else ""
    (tmp_path / "mine.toml").write_text(f'[launch]\ncommand = ["{command}"]\n{folder}\n[window]\ntitle = "flash"\n')
    env = ScreenGameEnv("mine.toml")
    env.reset()
    ran_in = Path((tmp_path / "ran_in").read_text().strip())
    assert ran_in == (tmp_path / "data" if folder else env.session.folder / "home")
    env.close()


def test_env_is_picklable_and_copies_are_closed():
    env = ScreenGameEnv("flash", rate=12.0)
    for other in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert other.rate == 12.0
        assert other.profile.name == "flash"
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


def test_repeated_open_and_close_leaks_nothing():
    import threading

    def one_round():
        env = ScreenGameEnv("flash")
        env.reset()
        env.step(FLASH)
        env.close()

    one_round()
    before = open_fds(), threading.active_count()
    one_round()
    assert (open_fds(), threading.active_count()) == before
