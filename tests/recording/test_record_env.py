"""Any env that can be drawn is played in a window, by the keyboard; SDL's dummy driver stands in for a screen."""

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium import spaces

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.record_env import KeyMap, record_env
from hakisa_algos.stages.recording import Recording
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
