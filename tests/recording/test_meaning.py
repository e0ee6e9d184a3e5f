"""What actions and pictures mean is compared wherever recordings, runs and envs come together: each refuses a swap."""

import json
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from hakisa_algos import DQN, PPO, DQNConfig, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.consolidate import Consolidation, Consolidations
from hakisa_algos.stages.demonstrations import check_game, meaning_of
from hakisa_algos.stages.play import learn_config, learner
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.report import _check_same
from hakisa_algos.stages.study import Studies, Study
from hakisa_algos.training.stored_run import StoredRun
from hakisa_envs import contract
from hakisa_envs.recording.inverse import Rules
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.meaning import meaning
from hakisa_envs.screen.profile import load_profile
from tests.helpers.pressed import press

SCREEN = "Hakisa/ScreenGame-v0"
PROFILE = """
[window]
title = "game"
size = [64, 48]
[observation]
region = [0, 0, 60, 48]
[actions]
commands = ["noop", "tap", "left_click", "move_by"]
keys = ["Left", "Right"]
grid = [4, 4]
steps = [-1, 1]
tap_ms = 50.0
rate = 10.0
"""
CLONING = CloningConfig(total_steps=4, update_steps=2, batch_size=16, idle_run=0)
SMALL = {"hidden_sizes": (16,), "num_envs": 2}
# Each leaves the spaces as they are: what was there, and what is there then.
EDITS = {
    "keys": ('["Left", "Right"]', '["Right", "Left"]'),
    "commands": ('["noop", "tap",', '["tap", "noop",'),
    "grid": ("[4, 4]", "[2, 8]"),
    "steps": ("[-1, 1]", "[-2, 2]"),
    "tap_ms": ("tap_ms = 50.0", "tap_ms = 90.0"),
    "rate": ("rate = 10.0", "rate = 20.0"),
    "region": ("[0, 0, 60, 48]", "[4, 0, 60, 48]"),
    "raw_motion": ("rate = 10.0", "rate = 10.0\nraw_motion = true"),
    "grey": ("60, 48]\n", "60, 48]\ngrey = false\nstack = 4\n"),
}


def profile(folder, edit=None, name="game"):
    """A profile's file, edited or not."""
    text = PROFILE if edit is None else PROFILE.replace(*EDITS[edit])
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def played(folder, game, **facts):
    """A recording of it, as the recorder writes it, but for its pictures and actions, which are Press's."""
    known = load_profile(game)
    said = {"env": SCREEN, "env_options": {"game": str(game)}, "rate": known.actions.rate}
    return press(folder, **(said | {contract.MEANING: meaning(known, known.actions.rate)} | facts))


def old(game):
    """What a recording said of it before it said what actions mean."""
    known = load_profile(game)
    area = known.observation.region
    rules = Rules.of(known, known.actions.rate, (area.left, area.top, area.width, area.height))
    return {contract.MEANING: None, "commands": list(rules.commands), "rules": json.loads(json.dumps(vars(rules)))}


@pytest.mark.parametrize("edit", EDITS)
def test_a_profile_that_was_edited_after_a_recording_is_not_the_same_game(tmp_path, edit):
    game = profile(tmp_path)
    before = played(tmp_path / "before", game)
    check_game([before], SCREEN, {"game": str(game)})
    profile(tmp_path, edit)
    now = meaning(load_profile(game), load_profile(game).actions.rate)
    with pytest.raises(ConfigError, match=rf"before was recorded with {edit} ") as caught:
        check_game([before], SCREEN, {"game": str(game)})
    told = str(caught.value)
    assert f"{edit} {meaning_of(before)[edit]}, and " in told
    assert f" {now[edit]}: " in told
    assert "as it was, or record again" in told
    after = played(tmp_path / "after", game)
    with pytest.raises(ConfigError, match=rf"after was recorded with {edit} .*before with .*leave one"):
        check_game([before, after], SCREEN, {"game": str(game)})


def test_what_no_command_uses_may_change(tmp_path):
    game = tmp_path / "game.toml"
    text = '[window]\ntitle = "game"\n[actions]\ncommands = ["release_all", "hold_only"]\nkeys = ["a"]\n'
    game.write_text(text)
    before = played(tmp_path / "before", game)
    game.write_text(text + "grid = [9, 9]\ntap_ms = 20.0\nsteps = [-3, 3]\n")
    check_game([before, played(tmp_path / "after", game)], SCREEN, {"game": str(game)})
    check_game([before], SCREEN, {"game": str(game), "display": "nested", "rate": 30.0})
    with pytest.raises(ConfigError, match=r"before was recorded with rate 30.0, and .* has now 15.0"):
        check_game([before], SCREEN, {"game": str(game), "rate": 15.0})


def test_a_live_env_says_what_its_recordings_hold(tmp_path):
    game = profile(tmp_path)
    env = ScreenGameEnv(game, rate=20.0)
    assert env.metadata[contract.MEANING] == meaning(load_profile(game), 20.0)
    assert json.loads(json.dumps(env.metadata[contract.MEANING])) == env.metadata[contract.MEANING]
    env.close()


@pytest.mark.parametrize("edit", ["keys", "grid", "tap_ms", "region", "rate"])
def test_old_recordings_are_compared_by_what_they_say(tmp_path, edit):
    game = profile(tmp_path)
    before = played(tmp_path / "before", game, **old(game))
    assert meaning_of(before)["keys"] == ["Left", "Right"]
    check_game([before, played(tmp_path / "new", game)], SCREEN, {"game": str(game)})
    Studies(Study((str(before.path),), "ppo", CLONING, SMALL))
    profile(tmp_path, edit)
    with pytest.raises(ConfigError, match=rf"before was recorded with {edit} "):
        check_game([before], SCREEN, {"game": str(game)})


def test_without_its_profile_a_recording_is_studied_all_the_same(tmp_path):
    game = profile(tmp_path)
    before = played(tmp_path / "before", game)
    game.unlink()
    Studies(Study((str(before.path),), "ppo", CLONING, SMALL))


def test_study(tmp_path):
    game = profile(tmp_path)
    first = str(played(tmp_path / "first", game).path)
    profile(tmp_path, "keys")
    second = str(played(tmp_path / "second", game).path)
    with pytest.raises(ConfigError, match=r"second was recorded with keys \['Right', 'Left'\], .*\['Left', 'Right'\]"):
        Studies(Study((first, second), "ppo", CLONING, SMALL))
    with pytest.raises(ConfigError, match=r"first was recorded with keys \['Left', 'Right'\], .*\['Right', 'Left'\]"):
        Studies(Study((first,), "ppo", CLONING, SMALL))
    Studies(Study((second,), "ppo", CLONING, SMALL)).run(tmp_path / "run")
    # What the clone learned with stands in its run.
    said = json.loads((tmp_path / "run" / "config.json").read_text())[contract.MEANING]
    assert said == meaning(load_profile(game), 10.0)


def test_consolidate(tmp_path):
    game = profile(tmp_path)
    first = str(played(tmp_path / "first", game).path)
    Studies(Study((first,), "ppo", CLONING, SMALL)).run(tmp_path / "run")
    profile(tmp_path, "keys")
    second = str(played(tmp_path / "second", game).path)
    with pytest.raises(ConfigError, match=r"second was recorded with keys .*run learned with \['Left', 'Right'\]"):
        Consolidations(Consolidation(str(tmp_path / "run"), (second,)))
    with pytest.raises(ConfigError, match=r"first was recorded with keys .* has now \['Right', 'Left'\]"):
        Consolidations(Consolidation(str(tmp_path / "run"), (first,)))
    profile(tmp_path)
    Consolidations(Consolidation(str(tmp_path / "run"), (first,)))


def test_report(tmp_path):
    game = profile(tmp_path)
    first = played(tmp_path / "first", game)
    run = {"env": SCREEN, "env_options": {"game": str(game)}}
    _check_same({"first": run, "run": run}, {"first": first.path})
    profile(tmp_path, "keys")
    with pytest.raises(ConfigError, match="first was recorded with keys"):
        _check_same({"first": run, "run": run}, {"first": first.path})


class Keys(gym.Env):
    """Says which keys it presses, and does nothing."""

    observation_space = gym.spaces.Box(0, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, keys=("Left", "Right"), render_mode=None):
        self.metadata = {contract.CONTRACT: contract.VERSION, contract.MEANING: {"keys": list(keys)}}
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, True, False, {}


KEYS, SWAPPED = {"keys": ["Left", "Right"]}, {"keys": ["Right", "Left"]}
SAYS = re.escape("keys ['Left', 'Right'], and this env has ['Right', 'Left']")
GIVEN = ["--env-options", 'keys=["Right","Left"]']


@pytest.fixture(autouse=True)
def registered():
    gym.register("Keys-v0", Keys)
    yield
    gym.registry.pop("Keys-v0")


@pytest.fixture
def run(tmp_path):
    config = PPOConfig(n_steps=8, minibatch_size=8, **SMALL)
    PPO("Keys-v0", config, env_options=KEYS).learn(16, run=tmp_path / "run").close()
    return tmp_path / "run"


def test_prior(run, tmp_path):
    PPO("Keys-v0", prior=run, env_options=KEYS).close()
    with pytest.raises(ConfigError, match=rf"prior=.* does not fit: .*{SAYS}"):
        PPO("Keys-v0", prior=run, env_options=SWAPPED)


def test_play_and_explore(run, tmp_path, capsys):
    for command in (["play", str(run)], ["explore", str(run), "--to", str(tmp_path / "to")]):
        assert main([*command, "--episodes", "1"]) == 0
        capsys.readouterr()
        assert main([*command, "--episodes", "1", *GIVEN]) == 2
        assert re.search(SAYS, capsys.readouterr().err)
    assert Recording.open(tmp_path / "to").facts[contract.MEANING] == KEYS


def test_play_and_train_with_demonstrations(tmp_path, capsys):
    few = DQNConfig(learning_starts=8, train_every=8, gradient_steps=1, total_steps=16, **SMALL)
    DQN("Keys-v0", few, env_options=KEYS).learn(16, run=tmp_path / "dqn").close()
    assert main(["explore", str(tmp_path / "dqn"), "--to", str(tmp_path / "to"), "--episodes", "9"]) == 0
    stored, shown = StoredRun.read(tmp_path / "dqn"), (Path(tmp_path / "to"),)
    learner(stored, learn_config(stored, shown), env_options=KEYS, recordings=shown)[0].close()
    with pytest.raises(ConfigError, match=r"to was recorded with keys \['Left', 'Right'\], and Keys-v0 has now \['R"):
        learner(stored, learn_config(stored, shown), env_options=SWAPPED, recordings=shown)
    with pytest.raises(ConfigError, match=SAYS):
        learner(stored, learn_config(stored, ()), env_options=SWAPPED)
    capsys.readouterr()
    train = ["train", "dqn", "--env", "Keys-v0", "--demonstrations", str(tmp_path / "to"), "--total-steps", "8"]
    assert main([*train, *GIVEN, "--run", str(tmp_path / "no")]) == 2
    assert "to was recorded with keys ['Left', 'Right'], and Keys-v0 has now" in capsys.readouterr().err
    assert main([*train, "--run", str(tmp_path / "yes")]) == 0
