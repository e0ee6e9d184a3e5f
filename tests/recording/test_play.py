"""An agent at play before somebody's eyes, and one that learns on: from a clone, with demonstrations, or as it was."""

import json
import signal
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import DQN, PPO, Agent, DQNConfig, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.cli.play_view import Naming, seeing
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.policy.observations import to_tensors
from hakisa_algos.stages.explore import explore
from hakisa_algos.stages.play import WARM_UP, judged, learn_config, learner, play
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.study import Studies, Study
from hakisa_algos.training.demonstrations import SHARE
from hakisa_algos.training.stored_run import StoredRun
from tests.helpers.masked import MaskedEnv, allowed_after
from tests.helpers.pressed import ENV, PRESS, press
from tests.helpers.processes import wait_until

SMALL = {"num_envs": 2, "n_steps": 16, "minibatch_size": 16, "epochs": 1, "hidden_sizes": (16,)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("play") / "run"
    PPO("CartPole-v1", PPOConfig(memory="gru", memory_chunk=8, **SMALL)).learn(32, run=folder).close()
    return folder


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clones")
    recording = press(folder / "press")
    config = CloningConfig(total_steps=20, update_steps=10, batch_size=16, idle_run=0)
    for algorithm in ("ppo", "dqn"):
        small = {"hidden_sizes": (16,), "num_envs": 2}
        Studies(Study((str(recording.path),), algorithm, config, small)).run(folder / algorithm)
    return folder


def test_what_is_shown_is_what_is_played(run):
    agent, env, moments = Agent.load(run), gym.make("CartPole-v1"), []

    def see(moment, seconds):
        moments.append(moment)
        return True

    returns = play(agent, env, see, seed=3, episodes=2)
    assert sum(returns) == len(moments)
    assert moments[-1].total == returns[-1]
    assert [moment.step for moment in moments] == list(range(1, len(moments) + 1))
    # The agent does the same again, by its memory too, and what it expects is of what it saw.
    seen, state = env.reset(seed=3)[0], None
    expected = float(agent.policy.value(torch.from_numpy(seen[None]), agent.policy.initial_state(1)))
    assert moments[0].value == pytest.approx(expected)
    for moment in moments[: int(returns[0])]:
        action, state = agent.predict(seen, state)
        assert action == moment.action
        seen = env.step(action)[0]
        np.testing.assert_array_equal(seen, moment.observation)
    assert not play(agent, env, lambda moment, seconds: moment.step < 3)  # closing the window ends it
    with pytest.raises(ConfigError, match="the env's observation space"):
        play(agent, gym.make("Acrobot-v1"), see)
    agent.close()


@pytest.fixture(params=["info", "method"])
def masked(request):
    """The id of an env that says what is allowed, one way or the other, and refuses what is not."""
    gym.register("Masked-v0", MaskedEnv, kwargs={"give": request.param})
    yield "Masked-v0"
    gym.registry.pop("Masked-v0")


@pytest.mark.parametrize("kind", [PPO, DQN])
def test_an_agent_that_obeys_masks_plays_and_is_recorded_by_them(masked, kind, tmp_path):
    config = PPOConfig(**SMALL) if kind is PPO else DQNConfig(num_envs=2, hidden_sizes=(16,))
    agent, env, said = kind(masked, config), gym.make(masked, disable_env_checker=True), []
    assert agent.config.action_masks is True

    def see(moment, seconds):
        said.append(moment.value)
        return True

    for best in (True, False):  # a step that is forbidden fails
        assert len(play(agent, env, see, seed=1, deterministic=best, episodes=20)) == 20
    assert np.isfinite(said).all()
    rows, _ = explore(agent, env, tmp_path / "explored", seed=2, episodes=20, say=said.append)
    assert Recording.open(tmp_path / "explored").column("transition").sum() == rows
    if kind is DQN:  # what it expects is of the best action that is allowed
        seen, _ = env.reset(seed=3)
        mask = allowed_after(seen)
        batch = to_tensors(agent.policy.observation.encode(seen[None], mask[None]), agent.device)
        assert judged(agent, seen, None, mask) == pytest.approx(float(agent.policy.value(batch)))
    agent.close()


def test_an_emulated_game_is_shown_frame_by_frame_in_a_window(tmp_path, monkeypatch):
    pytest.importorskip("pygame")
    pytest.importorskip("ale_py")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    from hakisa_algos.stages.window import Window

    config = PPOConfig(network="small", **{k: v for k, v in SMALL.items() if k != "hidden_sizes"} | {"num_envs": 1})
    agent = PPO("Hakisa/Pong-v0", config)
    env = gym.make("Hakisa/Pong-v0", render_mode="rgb_array")
    shown, show, said = [], Window.show, []

    def watched(self, picture):
        shown.append(picture.copy())
        show(self, picture)

    monkeypatch.setattr(Window, "show", watched)
    with seeing(env, "pong", window=True) as see:
        name = Naming(env)

        def both(moment, seconds):
            said.append(name(moment))
            return see(moment, seconds) and moment.step < 6

        play(agent, env, both, rate=4.0)
    frames = [frame for each in said for frame in each.moment.frames]
    assert len(frames) == 6 * 4  # each step is four of the emulator
    assert len(shown) >= 6
    assert shown[-1].tolist() == np.asarray(frames[-1]).tolist()
    assert "expects" in said[0].line()
    assert said[0].words in env.unwrapped.get_action_meanings()
    agent.close()
    env.close()


def test_where_nothing_can_be_drawn_it_is_told_in_lines(run, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main(["play", str(run), "--episodes", "1", "--rate", "1000", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{run} plays CartPole-v1, step 32" in said
    assert "step 1, episode 1: action" in said
    assert "1 episodes ended, mean return" in said
    assert main(["play", str(run), "--run", "there"]) == 2
    assert "--run goes with --learn" in capsys.readouterr().err
    assert main(["play", str(run), "--learn", "--episodes", "3"]) == 2
    assert "--episodes goes without --learn" in capsys.readouterr().err
    assert main(["play", "--learn"]) == 2


def test_ctrl_c_ends_it_and_no_key_of_a_live_game_stays_pressed(screen, xserver, tmp_path):
    window = screen.window(0, 0, 64, 48, colour=0xFFFFFF, title="somebody's")
    screen.focus(window)
    game = tmp_path / "somebodys.toml"
    game.write_text('[window]\ntitle = "^somebody"\n[actions]\ncommands = ["hold"]\nkeys = ["a"]\nrate = 20.0\n')
    env = "Hakisa/ScreenGame-v0"
    options = {"game": str(game), "display": xserver, "armed": True}
    config = PPOConfig(network="small", num_envs=1, n_steps=16, minibatch_size=16, epochs=1)
    PPO(env, config, env_options=options).learn(16, run=tmp_path / "run").close()
    screen.focus(window)
    given = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    command = [sys.executable, "-m", "hakisa_algos", "play", tmp_path / "run", "--env", env, "--env-options", *given]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert any("held a" in line for line in process.stdout)
        wait_until(lambda: screen.held() == {screen.keycode(ord("a"))})  # it is held again where a lease ends
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "0 episodes ended" in out
    wait_until(lambda: not screen.held(), 5)
    window.destroy()
    screen.display.sync()


def test_a_clone_of_ppo_learns_on_in_a_new_run_and_is_held(clones, tmp_path, capsys):
    few = ["--total-steps", "512", "--evaluate-every", "256", "--evaluate-episodes", "1", "--config.n-steps", "64"]
    before = (clones / "ppo" / "config.json").read_text()
    assert main(["play", str(clones / "ppo"), "--learn", "--run", str(tmp_path / "on"), *few]) == 0
    told = json.loads((tmp_path / "on" / "config.json").read_text())
    assert told["config"]["critic_warmup"] == WARM_UP
    assert "eval/prior_weight" in (tmp_path / "on" / "metrics.jsonl").read_text()
    assert (clones / "ppo" / "config.json").read_text() == before
    capsys.readouterr()
    # One that has learnt goes on where it is.
    more = ["--total-steps", "1024", "--evaluate-episodes", "1"]
    assert main(["play", str(tmp_path / "on"), "--learn", "--run", str(tmp_path / "other"), *more]) == 2
    assert "goes on in its own folder" in capsys.readouterr().err
    assert main(["play", str(tmp_path / "on"), "--learn", *more]) == 0
    assert StoredRun.read(tmp_path / "on").checkpoint.state["step"] == 1024
    assert main(["play", str(tmp_path / "on"), "--learn"]) == 2
    assert "is finished, at step 1,024" in capsys.readouterr().err


def test_a_clone_of_dqn_learns_on_with_demonstrations_and_keeps_its_weights(clones, tmp_path):
    stored = StoredRun.read(clones / "dqn")
    recordings = (clones / "press",)
    config = learn_config(stored, recordings)
    assert config.demonstration_share == SHARE
    agent, new = learner(stored, config, recordings=recordings)
    assert new
    assert agent.learner.demonstrations.rows
    own = stored.checkpoint.state["learner"]["policy"]
    assert all(entries.equal(own[name]) for name, entries in agent.policy.state_dict().items())
    agent.close()
    larger = press(tmp_path / "larger", PRESS | {"grid_size": 4})
    with pytest.raises(Exception, match="larger holds rows of"):
        learner(stored, config, recordings=(larger.path,))
    with pytest.raises(ConfigError, match="--demonstrations is for dqn"):
        learner(StoredRun.read(clones / "ppo"), learn_config(StoredRun.read(clones / "ppo"), ()), recordings=recordings)
    few = ["--config.learning-starts", "16", "--config.train-every", "16", "--config.gradient-steps", "1"]
    said = ["play", str(clones / "dqn"), "--learn", "--demonstrations", str(clones / "press"), *few]
    assert main([*said, "--run", str(tmp_path / "on"), "--total-steps", "64"]) == 0
    assert "train/margin_loss" in (tmp_path / "on" / "metrics.jsonl").read_text()
    assert (tmp_path / "on" / "demonstrations").is_dir()
    assert json.loads((tmp_path / "on" / "config.json").read_text())["env"] == ENV
