"""Learning offline from recordings: better where there is something to learn, never worse, resumed bit for bit."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch

from hakisa_algos import PPO, Agent, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.advantage_weighted import AdvantageConfig
from hakisa_algos.learners.agreement import Agreement
from hakisa_algos.learners.cloning import TEMPERATURE, CloningConfig
from hakisa_algos.learners.offline_q import OfflineQConfig
from hakisa_algos.policy.heads import ActionDistribution
from hakisa_algos.stages.consolidate import Consolidation, Consolidations, begun
from hakisa_algos.stages.recording import RecordedRows
from hakisa_algos.stages.study import Studies, Study
from tests.helpers.learning import assert_same
from tests.helpers.pressed import ENV, PRESS, press

CLONING = CloningConfig(total_steps=200, update_steps=50, batch_size=64, learning_rate=5e-3, idle_run=0)
SMALL = {"hidden_sizes": (64,), "num_envs": 2}
COMMON = {"total_steps": 300, "update_steps": 50, "batch_size": 64, "idle_run": 0, "learning_rate": 1e-3, "patience": 3}
# Rewards of Press come at once, and nothing that is shown tells of later ones.
CONFIGS = {
    "ppo": AdvantageConfig(critic_steps=150, gae_lambda=0.0, **COMMON),
    "memory": AdvantageConfig(critic_steps=100, gae_lambda=0.0, chunk=8, **COMMON | {"total_steps": 150}),
    "dqn": OfflineQConfig(target_every=50, **COMMON),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A person who errs now and then, an agent's own play, and random play."""
    folder = tmp_path_factory.mktemp("consolidate")
    own = {"agent": {"algorithm": "ppo"}}
    return {
        "person": press(folder / "person", episodes=40, wrong=0.3),
        "own": press(folder / "own", episodes=40, wrong=0.6, seed=9, **own),
        "bad": press(folder / "bad", episodes=40, wrong=1.0, seed=7, **own),
        "good": press(folder / "good", episodes=12, seed=5),
    }


@pytest.fixture(scope="module")
def clones(recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clones")
    for kind in CONFIGS:
        memory = {"memory": "gru", "memory_size": 32} if kind == "memory" else {}
        algorithm = "dqn" if kind == "dqn" else "ppo"
        Studies(Study((str(recordings["person"].path),), algorithm, CLONING, SMALL | memory)).run(folder / kind)
    return folder


def consolidations(clones, kind, *recordings, config=None):
    asked = Consolidation(str(clones / kind), tuple(str(each.path) for each in recordings), config or CONFIGS[kind])
    return Consolidations(asked)


def weights(folder):
    agent = Agent.load(folder)
    found = {name: entries.clone() for name, entries in agent.policy.state_dict().items()}
    agent.close()
    return found


@torch.no_grad()
def likelihood(folder, recording):
    """How likely a run makes what was done in a recording of good play."""
    agent = Agent.load(folder)
    rows = RecordedRows([recording])
    position = np.flatnonzero(rows.take("learned", np.arange(rows.rows)))
    said, agreement = agent.policy(rows.observation(position)), Agreement(agent.policy.heads)
    said = ActionDistribution(agent.policy.heads, said.log_probs(TEMPERATURE)) if agent.name == "dqn" else said[0]
    agreement.add(said, torch.from_numpy(rows.take("action", position)), torch.ones(len(position)))
    agent.close()
    return agreement.metrics()["held_out/likelihood"]


def drawn(folder):
    agent = Agent.load(folder)
    mean = agent.evaluate(episodes=40, deterministic=False).mean
    agent.close()
    return mean


def test_an_actor_critic_plays_better_than_the_clone_of_a_person_who_errs(recordings, clones, tmp_path):
    one = consolidations(clones, "ppo", recordings["person"], recordings["own"])
    one.run(tmp_path / "run")
    assert one.learner.accepted
    assert drawn(tmp_path / "run") > drawn(clones / "ppo") + 0.5
    agent = Agent.load(tmp_path / "run")
    assert (agent.name, agent.steps) == ("ppo", 0)
    agent.learn(64, run=tmp_path / "on")  # and goes on from there
    agent.close()


def test_while_the_critic_learns_nothing_of_the_policy_changes_and_then_nothing_of_the_critic(recordings, clones):
    one = consolidations(clones, "ppo", recordings["person"], recordings["bad"]).learner
    one.study(RecordedRows([recordings["person"], recordings["bad"]]))
    observation = torch.randn(64, *one.policy.observation.space.shape)

    def said():
        with torch.no_grad():
            distribution, value = one.policy(observation)
        return distribution.log_probs.clone(), value.clone()

    acted, judged = said()
    while one._judging:
        metrics = one.update(None)
        assert "train/value_loss" in metrics
        assert torch.equal(said()[0], acted)
    assert not torch.equal(said()[1], judged)
    judged = said()[1]
    one.update(None)
    assert torch.equal(said()[1], judged)
    assert not torch.equal(said()[0], acted)


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
@pytest.mark.parametrize("played", [("bad",), ("person", "bad")])
def test_bad_play_does_not_make_what_was_good_less_likely(recordings, clones, tmp_path, kind, played):
    consolidations(clones, kind, *(recordings[name] for name in played)).run(tmp_path / "run")
    before, after = (likelihood(folder, recordings["good"]) for folder in (clones / kind, tmp_path / "run"))
    assert after >= before - 1e-6


def test_without_what_holds_it_bad_play_would(recordings, clones, tmp_path):
    """Else the test before this one shows nothing."""
    fast = dataclasses.replace(CONFIGS["ppo"], learning_rate=5e-3)
    one = consolidations(clones, "ppo", recordings["bad"], config=fast)
    one.learner._floor = 0.0
    one.run(tmp_path / "run")
    assert likelihood(tmp_path / "run", recordings["good"]) < 0.9 * likelihood(clones / "ppo", recordings["good"])


def test_q_learning_stops_when_values_exceed_what_was_observed(recordings, clones, tmp_path):
    longer = dataclasses.replace(CONFIGS["dqn"], total_steps=2000)
    one = consolidations(clones, "dqn", recordings["person"], recordings["own"], config=longer)
    seen = []

    class Sees:
        def update(self, step, metrics):
            seen.append(metrics)

        def notice(self, text):
            pass

        status = notice

    trainer = one.run(tmp_path / "run", Sees())
    assert trainer.step < one.asked.config.total_steps
    exceeds = [metrics["held_out/q_value"] > metrics["held_out/q_limit"] for metrics in seen]
    assert exceeds[-1]
    assert not any(exceeds[:-1])
    assert [metrics["held_out/kept"] for metrics in seen][-1] == 0
    assert one.learner.accepted
    # It has the person's play with it, and goes on with that.
    agent = Agent.load(tmp_path / "run")
    assert agent.config.demonstration_share > 0
    assert agent.learner.demonstrations.rows == recordings["person"].rows.rows
    agent.close()


@pytest.fixture
def placed(recordings, clones):
    """One that learns from a person who errs, and has only moved its values to where returns are."""
    one = consolidations(clones, "dqn", recordings["person"]).learner
    one.study(RecordedRows([recordings["person"]]))
    one._place()
    one._judge()
    one._done = 50
    return one


def test_values_that_are_too_high_by_more_than_returns_scatter_stop_it(placed):
    metrics = placed._judge()
    assert metrics["held_out/q_value"] == pytest.approx(metrics["held_out/observed"], rel=1e-4)
    scatter = metrics["held_out/q_limit"] - metrics["held_out/observed"]
    assert scatter == pytest.approx(placed._gained[placed.lessons.held_out].std(), rel=1e-4)
    with torch.no_grad():
        placed.policy.heads.shift(0.9 * scatter)
    assert placed._judge()["held_out/q_value"] < metrics["held_out/q_limit"]
    assert placed.facts().total > 50
    with torch.no_grad():
        placed.policy.heads.shift(0.2 * scatter)
    metrics = placed._judge()
    # Not the highest return that was ever seen: of a mean that is too high it would say nothing.
    assert metrics["held_out/q_limit"] < metrics["held_out/q_value"] < placed._gained.max()
    assert metrics["held_out/kept"] == 0
    assert placed.facts().total == 50


@pytest.mark.parametrize("times", [1.0, 1.5])
def test_values_of_play_as_good_as_it_gets_do_not_stop_it_and_inflated_ones_do(placed, monkeypatch, times):
    """What can be had is known in Press, 1 for each row that is left; the person missed about one in four."""
    left = PRESS["episode_length"] - torch.from_numpy(placed._source.take("age", placed.lessons.position))
    gamma, say = placed._learner.config.gamma, placed._say
    value = times * (1 - gamma**left) / (1 - gamma)

    class Known:
        def __init__(self, rows):
            self.rows = rows

        def of(self, action):
            return value[self.rows].float()

    def say_known(picked):
        said = say(picked)
        placed._values = Known(picked.counted)
        return said

    monkeypatch.setattr(placed, "_say", say_known)
    metrics = placed._judge()
    assert metrics["held_out/q_value"] > metrics["held_out/observed"]
    assert (placed.facts().total == 50) == (times > 1)


@pytest.mark.parametrize("kind", CONFIGS)
def test_one_that_was_stopped_goes_on_bit_for_bit(recordings, clones, tmp_path, kind):
    class StopsAt:
        def __init__(self, step):
            self.step = step

        def update(self, step, metrics):
            if step == self.step:
                os.kill(os.getpid(), signal.SIGTERM)

        def notice(self, text):
            pass

        status = notice

    played = recordings["person"], recordings["own"]
    whole = consolidations(clones, kind, *played)
    whole.run(tmp_path / "whole")
    one = consolidations(clones, kind, *played)
    # While the critic learns, and while the policy does.
    for step in (50, 200):
        trainer = one.run(tmp_path / "half", StopsAt(step), resume=step > 50)
        assert (trainer.stopped_by, trainer.step) == ("SIGTERM", step)
        asked, stored, rows = begun(tmp_path / "half")
        assert asked == one.asked
        one = Consolidations(asked, stored)
        one.check_rows(rows)
    one.run(tmp_path / "half", resume=True)
    assert_same(whole.learner.state(), one.learner.state())
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "half"))
    with pytest.raises(ConfigError, match="have changed"):
        one.check_rows(rows[:-1])
    with pytest.raises(CheckpointError, match=r"consolidation\.json"):
        begun(clones / kind)


def test_a_recording_of_another_size_game_or_profile_is_refused_by_name(recordings, clones, tmp_path):
    larger = press(tmp_path / "larger", PRESS | {"grid_size": 4})
    with pytest.raises(ConfigError, match=rf"{larger.path} holds observations of .* it is of another game"):
        consolidations(clones, "ppo", recordings["person"], larger)
    other = press(tmp_path / "other", env="Hakisa/Pong-v0")
    with pytest.raises(ConfigError, match=rf"{other.path} was recorded of Hakisa/Pong-v0, and this is {ENV}"):
        consolidations(clones, "dqn", other)
    faster = press(tmp_path / "faster", rate=20.0)
    with pytest.raises(ConfigError, match=rf"{faster.path} was recorded with rate 20.0, and .*person with 10.0"):
        consolidations(clones, "ppo", recordings["person"], faster)


def test_agents_that_cannot_are_told_why(recordings, tmp_path):
    shared = PPOConfig(network="small", num_envs=1, n_steps=16, minibatch_size=16)
    pixels = PRESS | {"observation": "pixels"}
    agent = PPO(ENV, shared, env_options=pixels).learn(16, run=tmp_path / "shared")
    agent.close()
    seen = press(tmp_path / "seen", pixels)
    with pytest.raises(ConfigError, match="shares networks with its policy"):
        Consolidations(Consolidation(str(tmp_path / "shared"), (str(seen.path),)))
    assert main(["train", "ga", "--env", "CartPole-v1", "--total-steps", "1", "--run", str(tmp_path / "ga")]) == 0
    with pytest.raises(ConfigError, match="a run of ga, which cannot learn offline"):
        Consolidations(Consolidation(str(tmp_path / "ga"), (str(seen.path),)))


def test_from_the_command_line(recordings, clones, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["--config.total-steps", "60", "--config.update-steps", "30", "--config.critic-steps", "30"]
    folders = [str(clones / "ppo"), str(recordings["person"].path), str(recordings["own"].path)]
    assert main(["consolidate", *folders, *few, "--delay", "100"]) == 0
    assert "gradient steps" in capsys.readouterr().out
    run = tmp_path / "runs" / "ppo-consolidated-0"
    assert "held_out/explained_variance" in (run / "consolidation.jsonl").read_text()
    assert begun(run)[0].config.delay == 1
    assert main(["consolidate", "--resume", str(run)]) == 0  # nothing is left to do
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "<h2>Consolidation" in page
    assert "<h3>command: what was done" in page
    assert "<th>press</th>" in page
    assert main(["consolidate", folders[0]]) == 2
    assert "name the agent's run and then recordings" in capsys.readouterr().err
