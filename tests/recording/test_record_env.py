"""Any env that can be drawn is played in a window, by the keyboard; SDL's dummy driver stands in for a screen."""

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium import spaces

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages import record_env as record_env_module
from hakisa_algos.stages import window as window_module
from hakisa_algos.stages.record_env import KeyMap, record_env
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics
from hakisa_algos.stages.window import Window

FACTS = {"name": "counts", "env": "Counts-v0", "env_options": {}}


class Counts(gym.Env):
    """Shows how many steps it took; ends after ten."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    action_space = spaces.Discrete(4)

    def get_action_meanings(self):
        return ["NOOP", "LEFT", "RIGHT", "LEFTFIRE"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.render(), {}

    def step(self, action):
        self.t += 1
        return self.render(), float(action), self.t == 10, False, {}

    def render(self):
        return np.full((8, 8, 3), self.t, np.uint8)


def key(name, down=True):
    kind = pygame.KEYDOWN if down else pygame.KEYUP
    pygame.event.post(pygame.event.Event(kind, key=pygame.key.key_code(name)))


def test_what_is_down_is_what_is_done_and_what_is_seen_is_kept(tmp_path):
    env, steps = Counts(), []
    script = {
        2: [("left", True)],
        4: [("space", True)],
        6: [("left", False), ("space", False)],
        8: [("right", True), ("right", False)],
    }

    def play():
        for name, down in script.get(len(steps), ()):
            key(name, down)
        steps.append(0)
        return False

    rows = record_env(
        env, tmp_path / "r", facts=FACTS, keys=KeyMap.of(env), rate=50.0, episodes=1, stop=play, say=lambda t: None
    )
    recording = Recording.open(tmp_path / "r")
    assert rows == recording.column("transition").sum() == 10
    action = recording.column("action")[:10]
    # A press that is over before the step counts for it.
    assert action.tolist() == [0, 0, 1, 1, 3, 3, 0, 0, 2, 0]
    assert recording.column("reward")[:10].tolist() == action.tolist()
    assert recording.column("terminated").tolist() == [False] * 9 + [True, False]
    seen = recording.rows.observation(recording.position)
    assert seen.shape == (11, 3, 8, 8)
    assert seen[:, 0, 0, 0].tolist() == list(range(11))
    assert [(e.kind, e.name) for e in recording.events if e.kind in ("press", "release")][:3] == [
        ("press", "left"), ("press", "space"), ("release", "left"),
    ]  # fmt: skip
    replay = gym.make("Hakisa/Replay-v0", recording=str(tmp_path / "r"), disable_env_checker=True)
    assert replay.observation_space == spaces.Box(0, 255, (3, 8, 8), np.uint8)
    assert (replay.reset()[0] == 0).all()
    assert (replay.step(0)[0] == 1).all()


def test_closing_the_window_ends_it_and_cuts_the_episode(tmp_path):
    env, steps = Counts(), []

    def play():
        steps.append(0)
        if len(steps) == 4:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
        return False

    record_env(env, tmp_path / "r", facts=FACTS, keys=KeyMap.of(env), rate=50.0, stop=play, say=lambda t: None)
    recording = Recording.open(tmp_path / "r")
    assert recording.column("truncated").sum() == 1
    last = int(np.flatnonzero(recording.column("truncated"))[0])
    final = recording.rows.final_observation(last)
    assert (final == last + 1).all()


def played(tmp_path, play, env=None, **more):
    """The recording of who does ``play(step)`` before each step, and what was said."""
    env, steps, said = env or Counts(), [], []

    def stop():
        play(len(steps))
        steps.append(0)
        return False

    given = {"facts": FACTS, "keys": KeyMap.of(env), "rate": 50.0, "stop": stop, "say": said.append, **more}
    record_env(env, tmp_path / "r", **given)
    return Recording.open(tmp_path / "r"), said


def test_while_the_focus_is_elsewhere_rows_are_marked_and_not_learned_from(tmp_path):
    def play(step):
        if step == 3:
            key("left")
        elif step == 5:
            pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
        elif step == 8:
            pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSGAINED))

    recording, _ = played(tmp_path, play, episodes=1)
    # Those included in which it went and came back: part of them is not known.
    gap = [False] * 5 + [True] * 4 + [False]
    assert recording.column("gap")[:10].tolist() == gap
    assert recording.column("learned")[:10].tolist() == [not away for away in gap]
    assert recording.column("action")[:10].tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    kinds = [(e.kind, e.name) for e in recording.events]
    assert kinds == [
        ("on", ""), ("begin", ""), ("press", "left"), ("release", "left"), ("gap", "focus"), ("on", ""), ("end", ""),
    ]  # fmt: skip
    assert "without the focus: 4 rows; deadlines missed: 0" in Statistics.of(recording).lines()


def test_a_window_that_never_has_the_focus_gives_nothing_to_learn_from(tmp_path, monkeypatch):
    monkeypatch.setattr(pygame.event, "get", list)
    recording, _ = played(tmp_path, lambda step: None, episodes=1)
    assert recording.column("gap").all()
    assert not recording.column("learned").any()
    assert recording.events[0].kind == "gap"


class Clock:
    """Time passes only while somebody sleeps."""

    now = 0.0

    def monotonic(self):
        return self.now

    def monotonic_ns(self):
        return round(1e9 * self.now)

    def sleep(self, seconds):
        self.now += max(seconds, 1e-3)


class Stands(Counts):
    """Goes on until somebody ends it."""

    def step(self, action):
        seen, reward, _, truncated, info = super().step(action)
        return seen, reward, False, truncated, info


def test_time_that_is_paused_is_none_of_the_minutes(tmp_path, monkeypatch):
    clock, wait = Clock(), Window.wait

    def watched(self, until, pictures=()):
        if self.paused and clock.now > 9:
            key("f9")
        return wait(self, until, pictures)

    for module in (record_env_module, window_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(Window, "wait", watched)
    env = Stands()
    recording, said = played(tmp_path, lambda step: key("f9") if step == 4 else None, env=env, rate=10.0, seconds=2.0)
    t = {e.kind: e.t_ns / 1e9 for e in recording.events}
    assert t["resume"] - t["pause"] > 8
    assert t["end"] - (t["resume"] - t["pause"]) == pytest.approx(2.0, abs=0.2)  # to a row
    assert 60 * Statistics.of(recording).minutes == pytest.approx(2.0, abs=0.2)
    assert said == ["episode 1: 0 rows so far", "paused; F9 goes on", "it goes on"]


def test_a_pause_shows_in_the_title_and_its_row_is_not_learned_from(tmp_path, monkeypatch):
    titles, wait = [], Window.wait

    def watched(self, until, pictures=()):
        down = wait(self, until, pictures)
        if self.paused and not titles:
            titles.append(pygame.display.get_caption()[0])
            key("left", down=False)
            key("right")
            key("f9")
        return down

    def play(step):
        if step == 4:
            key("left")
            key("f9")
        elif step == 8:
            titles.append(pygame.display.get_caption()[0])

    monkeypatch.setattr(Window, "wait", watched)
    recording, _ = played(tmp_path, play, episodes=1)
    assert titles == ["● counts (paused; F9 goes on)", "● counts"]
    assert np.flatnonzero(recording.column("gap")).tolist() == [4, 10]
    assert np.flatnonzero(~recording.column("learned")).tolist() == [4, 10]
    assert recording.column("action")[:10].tolist() == [0] * 4 + [2] * 6  # as they are down when it goes on


def test_that_an_episode_is_marked_as_bad_is_said(tmp_path):
    recording, said = played(tmp_path, lambda step: key("f10") if step == 4 else None, episodes=1)
    assert said == ["episode 1: 0 rows so far", "this episode is marked as bad"]
    assert recording.marks["dropped"].all()


def test_keys_say_actions():
    keys = KeyMap.parse({"none": 0, "left": 1, "right": 2, "left+space": 3}, spaces.Discrete(4))
    for down, action in (([], 0), (["left"], 1), (["left", "right"], 2), (["space", "left"], 3), (["space"], 0)):
        assert keys.action(down) == action
    pad = KeyMap.parse({"up": 0, "a": 2}, spaces.MultiBinary(3))
    assert pad.action(["a", "up"]).tolist() == [1, 0, 1]
    assert pad.action([]).tolist() == [0, 0, 0]
    heads = KeyMap.parse({"none": [0, 0], "up": [1, 0]}, spaces.MultiDiscrete([2, 2]))
    assert heads.action(["up"]).tolist() == [1, 0]


@pytest.mark.parametrize("pairs", [{"left": 1}, {"none": 0}, {"none": 0, "left": 9}, {"none": 0, "left": "x"}])
def test_keys_that_say_no_action_are_refused(pairs):
    with pytest.raises(ConfigError, match="--keys"):
        KeyMap.parse(pairs, spaces.Discrete(4))


def test_an_env_without_names_of_actions_must_be_told():
    with pytest.raises(ConfigError, match="must be said"):
        KeyMap.of(gym.make("Hakisa/Press-v0", disable_env_checker=True))


class Emulates(Counts):
    """Emulates three frames for each step."""

    show = None

    def show_frames(self, show):
        self.show = show

    def step(self, action):
        for frame in range(3):
            self.show(np.full((8, 8, 3), 10 * (self.t + 1) + frame, np.uint8))
        return super().step(action)


def test_every_emulated_frame_is_shown(tmp_path, monkeypatch):
    shown, show = [], Window.show

    def watched(self, picture):
        shown.append(int(picture[0, 0, 0]))
        show(self, picture)

    monkeypatch.setattr(Window, "show", watched)
    keys = KeyMap.of(Emulates())
    record_env(Emulates(), tmp_path / "r", facts=FACTS, keys=keys, rate=2.0, seconds=2.0, say=lambda text: None)
    steps = 1 + max(shown) // 10
    assert steps > 2
    all_of_them = [0, *(10 * step + frame for step in range(1, steps) for frame in range(3))]
    assert shown == sorted(set(shown))
    assert set(all_of_them[::3]) <= set(shown)  # what the agent sees; a slow machine may leave out others
    assert len(shown) > len(all_of_them) / 2


@pytest.mark.parametrize("name", ["Hakisa/Pong-v0", "Hakisa/Fighter-v0"])
def test_an_emulator_shows_every_frame_of_a_step(name):
    pytest.importorskip({"Hakisa/Pong-v0": "ale_py", "Hakisa/Fighter-v0": "stable_retro"}[name])
    env = gym.make(name, render_mode="rgb_array", disable_env_checker=True)
    frames = []
    env.unwrapped.show_frames(frames.append)
    env.reset(seed=0)
    frames.clear()
    env.step(env.action_space.sample())
    assert len(frames) == 4
    assert (frames[-1] == env.render()).all()
    env.close()
