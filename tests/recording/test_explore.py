"""The agent plays and is recorded: rows as they were, in a recording that all that reads recordings takes."""

import gymnasium as gym
import numpy as np
import pytest

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import PPO, Agent, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.demonstrations import demonstrations
from hakisa_algos.stages.explore import explore
from hakisa_algos.stages.recording import Recording
from hakisa_envs.screen.profile import load_profile
from tests.screen.helpers import Screen, press_chord

SMALL = {"num_envs": 2, "n_steps": 16, "minibatch_size": 16, "hidden_sizes": (16,)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explore") / "run"
    agent = PPO("CartPole-v1", PPOConfig(memory="gru", memory_chunk=8, **SMALL))
    agent.learn(32, run=folder)
    agent.close()
    return folder


def test_what_is_recorded_is_what_was_played(run, tmp_path):
    agent = Agent.load(run)
    before = {name: entries.clone() for name, entries in agent.policy.state_dict().items()}
    env = gym.make("CartPole-v1")
    said = []
    rows, returns = explore(agent, env, tmp_path / "played", deterministic=True, seed=3, episodes=3, say=said.append)
    assert rows == sum(returns)
    assert len(said) == 3
    assert all(entries.equal(agent.policy.state_dict()[name]) for name, entries in before.items())
    recording = Recording.open(tmp_path / "played")
    assert recording.facts["agent"]["steps"] == 32
    assert [episode.stop - episode.start - 1 for episode in recording.episodes] == returns
    # The same seed and actions give what was seen; and the agent, by its memory, does the same again.
    first = recording.episodes[0]
    seen, _ = env.reset(seed=3)
    state = None
    for row in range(first.start, first.stop - 1):
        np.testing.assert_array_equal(recording.rows.observation(np.array([row]))[0], seen)
        action, state = agent.predict(seen, state)
        assert action == recording.column("action")[row]
        seen, _, terminated, _, _ = env.step(action)
        assert terminated == recording.column("terminated")[row]
    assert demonstrations([recording]).take("learned", np.arange(recording.rows.rows)).sum() == rows
    agent.close()


def test_what_time_cuts_off_is_truncated_and_no_end(run, tmp_path):
    agent = Agent.load(run)
    rows, returns = explore(agent, gym.make("CartPole-v1"), tmp_path / "cut", seconds=0.2, say=lambda text: None)
    recording = Recording.open(tmp_path / "cut")
    last = recording.episodes[-1].stop - 2
    assert recording.column("terminated")[last] != recording.column("truncated")[last]
    assert recording.column("transition").sum() == rows
    assert len(recording.episodes) - len(returns) in (0, 1)
    with pytest.raises(ConfigError, match="the env's observation space"):
        explore(agent, gym.make("Acrobot-v1"), tmp_path / "other", episodes=1)
    agent.close()


@pytest.mark.parametrize("how", ["the kill chord", "Ctrl+C"])
def test_a_live_game_is_recorded_and_whoever_ends_it_ends_its_episode(how, xserver, tmp_path):
    options = {"game": "flash", "rate": 10.0, "display": xserver, "armed": True, "timeout": 30.0}
    agent = PPO("Hakisa/ScreenGame-v0", PPOConfig(network="small", num_envs=1, n_steps=16), env_options=options)
    person, said, seen = Screen(xserver), [], []

    class Ended(gym.Wrapper):
        def step(self, action):
            if len(seen) == 8 and how == "Ctrl+C":
                raise KeyboardInterrupt
            step = self.env.step(action)
            seen.append((step[0], action))
            if len(seen) == 8 and how == "the kill chord":
                press_chord(person)
            return step

        def reset(self, **given):
            seen.clear()
            return self.env.reset(**given)

    env = Ended(gym.make("Hakisa/ScreenGame-v0", disable_env_checker=True, **options))
    try:
        rows, returns = explore(agent, env, tmp_path / "played", seconds=600.0, say=said.append)
    finally:
        env.close()
        agent.close()
        person.close()
    assert said[-1].startswith("ended by Ctrl+C" if how == "Ctrl+C" else "ended: Ctrl+Shift+F12 was pressed")
    recording = Recording.open(tmp_path / "played")
    assert len(recording.episodes) == len(returns) + 1
    last = recording.episodes[-1]
    played = len(seen)  # the chord is heard a moment later
    assert 8 <= played == last.stop - 1 - last.start
    assert not recording.column("terminated")[last].any()
    assert np.flatnonzero(recording.column("truncated")[last]).tolist() == [played - 1]
    assert rows == recording.column("transition").sum()
    stored = recording.rows.observation(recording.position[last]).numpy()
    np.testing.assert_array_equal(stored[1:], [observation for observation, _ in seen])
    np.testing.assert_array_equal(recording.column("action")[last][:-1], [action for _, action in seen])
    assert [event.kind for event in recording.events[-2:]] == ["begin", "end"]
    assert recording.facts["commands"] == list(load_profile("flash").actions.commands)


def test_what_ends_before_its_first_row_is_no_episode(run, tmp_path):
    agent, resets = Agent.load(run), []

    class Ended(gym.Wrapper):
        def reset(self, **given):
            resets.append(given)
            return self.env.reset(**given)

        def step(self, action):
            if len(resets) == 2:
                raise KeyboardInterrupt
            return self.env.step(action)

    rows, returns = explore(agent, Ended(gym.make("CartPole-v1")), tmp_path / "played", say=lambda text: None)
    agent.close()
    recording = Recording.open(tmp_path / "played")
    assert [episode.stop - episode.start - 1 for episode in recording.episodes] == returns == [rows]


def test_from_the_command_line(run, tmp_path, capsys):
    to = tmp_path / "played"
    assert main(["explore", str(run), "--to", str(to), "--episodes", "2"]) == 0
    assert "2 episodes ended, mean return" in capsys.readouterr().out
    assert len(Recording.open(to).episodes) == 2
    assert main(["review", str(to), "--no-page"]) == 0
    assert main(["explore", str(run), "--to", str(tmp_path / "none"), "--minutes", "1e-9"]) == 1
    assert "Nothing was recorded" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["explore", str(run)]) == 2
    assert "say how long" in capsys.readouterr().err
    dqn = ["--config.learning-starts", "16", "--config.train-every", "16", "--config.gradient-steps", "1"]
    said = ["train", "dqn", "--demonstrations", str(to), "--total-steps", "32", "--run", str(tmp_path / "dqn")]
    assert main([*said, *dqn]) == 0
