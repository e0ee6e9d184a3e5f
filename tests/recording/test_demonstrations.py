"""DQN with a recording: copied once, named by its hash, never evicted, and refused where it does not fit."""

import json
import shutil

import numpy as np
import pytest

from hakisa_algos import DQN, PPO, Agent, DQNConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.stages.demonstrations import check_game, demonstrations
from hakisa_algos.stages.recording import Recording
from hakisa_algos.training.demonstrations import SHARE
from tests.helpers.learning import assert_same
from tests.helpers.pressed import ENV, PRESS, press

SMALL = DQNConfig(
    total_steps=256, num_envs=2, buffer_size=32, learning_starts=16, train_every=16, gradient_steps=2, batch_size=16,
    hidden_sizes=(16,), demonstration_share=0.25,
)  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return press(tmp_path_factory.mktemp("demonstrations") / "press")


def agent_of(recording, config=SMALL, **options):
    return DQN(ENV, config, env_options=PRESS, demonstrations=demonstrations([recording]), **options)


def shown(agent):
    rows = agent.learner.demonstrations
    return {name: rows.take(name, np.arange(rows.rows)) for name in ("action", "reward", "learned")}


def test_they_are_copied_once_and_named_by_their_hash_and_the_run_goes_on_bit_for_bit(recording, tmp_path):
    copy = tmp_path / "recording"
    shutil.copytree(recording.path, copy)
    whole = agent_of(Recording.open(copy)).learn(run=tmp_path / "whole")
    part = agent_of(Recording.open(copy))
    before = shown(part)
    part.learn(run=tmp_path / "part", callbacks=lambda trainer, metrics: trainer.step < 96)
    shutil.rmtree(copy)  # it is not needed any more
    files = sorted(path.name for path in (tmp_path / "part" / "demonstrations").iterdir())
    again = Agent.load(tmp_path / "part")
    assert again.steps == 96
    again.learn()
    assert sorted(path.name for path in (tmp_path / "part" / "demonstrations").iterdir()) == files
    assert_same(whole.learner.state(), again.learner.state())
    state = again.learner.state()["demonstrations"]
    assert set(state) == {"sha256"}
    # 256 env steps went through a ring of 32 a side, and all that was shown is still there.
    for name, entries in shown(again).items():
        np.testing.assert_array_equal(entries, before[name])
    saved = again.save(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "part")
    assert_same(shown(Agent.load(saved)), before)
    for name in (tmp_path / "elsewhere" / "demonstrations").glob("rows_*"):
        name.write_bytes(b"")
    with pytest.raises(CheckpointError, match="rows_"):
        Agent.load(saved)
    shutil.rmtree(tmp_path / "elsewhere" / "demonstrations")
    with pytest.raises(CheckpointError, match="elsewhere/demonstrations is missing"):
        Agent.load(saved)


def test_others_in_their_place_are_refused(recording, tmp_path):
    agent = agent_of(recording).learn(32, run=tmp_path / "run")
    agent.close()
    other = press(tmp_path / "other", name="other")
    other.mark(dropped=[(0, 5)], held_out=[])
    shutil.rmtree(tmp_path / "run" / "demonstrations")
    second = agent_of(other).learn(32, run=tmp_path / "second")
    second.close()
    shutil.copytree(tmp_path / "second" / "demonstrations", tmp_path / "run" / "demonstrations")
    with pytest.raises(CheckpointError, match="does not hold the demonstrations"):
        Agent.load(tmp_path / "run")


def test_rows_that_were_left_out_are_never_drawn(tmp_path):
    recording = press(tmp_path / "press", options=PRESS)
    recording.mark(dropped=[(3, 7), (40, 90)], held_out=[])
    learned = demonstrations([recording]).take("learned", np.arange(recording.rows.rows))
    plain = recording.rows.take("learned", np.arange(recording.rows.rows))
    left_out = np.zeros(len(plain), bool)
    left_out[3:7] = left_out[40:90] = True
    assert (plain & left_out).any()
    np.testing.assert_array_equal(learned, plain & ~left_out)


def test_a_recording_of_another_size_or_game_is_refused_by_name(recording, tmp_path, monkeypatch):
    larger = press(tmp_path / "larger", PRESS | {"grid_size": 4})
    with pytest.raises(CheckpointError, match="larger holds rows of"):
        agent_of(larger)
    with pytest.raises(CheckpointError, match="larger"):
        demonstrations([recording, larger])
    with pytest.raises(ConfigError, match=rf"{recording.path} was recorded of {ENV}, and this is Hakisa/Pong-v0"):
        check_game([recording], "Hakisa/Pong-v0", {})
    live = press(tmp_path / "live", env_options={"game": "lbreakout2", "display": "xvfb"})
    check_game([live], ENV, {"game": "lbreakout2", "display": "nested"})
    with pytest.raises(ConfigError, match=r"live was recorded of .* game=lbreakout2, and this is .* game=circuslinux"):
        check_game([live], ENV, {"game": "circuslinux"})
    monkeypatch.chdir(tmp_path)  # a profile of one's own is recorded by its whole path
    own = press(tmp_path / "own", env_options={"game": str(tmp_path / "mine.toml")})
    check_game([own], ENV, {"game": "mine.toml"})


def test_what_does_not_go_with_demonstrations_is_named(recording):
    with pytest.raises(ConfigError, match="demonstration_share=0 would draw"):
        agent_of(recording, DQNConfig())
    with pytest.raises(ConfigError, match="for dqn; PPOLearner draws from none"):
        PPO(ENV, env_options=PRESS, demonstrations=demonstrations([recording]))
    assert agent_of(recording, None).config.demonstration_share == SHARE


def test_from_the_command_line_the_recording_says_the_env(recording, tmp_path, capsys):
    run = tmp_path / "run"
    few = ["--config.learning-starts", "16", "--config.train-every", "16", "--config.gradient-steps", "1"]
    said = ["train", "dqn", "--demonstrations", str(recording.path), "--total-steps", "32", *few]
    assert main([*said, "--run", str(run)]) == 0
    config = json.loads((run / "config.json").read_text())
    assert (config["env"], config["env_options"], config["config"]["demonstration_share"]) == (ENV, PRESS, SHARE)
    assert "train/margin_loss" in (run / "metrics.jsonl").read_text()
    capsys.readouterr()
    assert main([*said, "--env", "CartPole-v1"]) == 2
    assert f"{recording.path} was recorded of {ENV}, and this is CartPole-v1" in capsys.readouterr().err
    assert main(["resume", str(run), "--total-steps", "64"]) == 0
