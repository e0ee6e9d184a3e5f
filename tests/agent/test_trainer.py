"""The loop round an update: faults, callbacks, pauses, metrics, checkpoints, and evaluations that leave no trace."""

import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from hakisa_algos.agent import DQN, PPO
from hakisa_algos.errors import ConfigError, NonFiniteError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.trainer import Trainer
from tests.helpers.counting import CountingEnv
from tests.helpers.learning import assert_same

SMALL = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16)


class Breaking(CountingEnv):
    """Pays from its 40th step on what no loss can hold."""

    steps = 0

    def step(self, action):
        self.steps += 1
        observation, reward, *rest = super().step(action)
        return observation, 1e30 if self.steps >= 40 else reward, *rest


def test_a_nan_leaves_a_crash_file_and_the_latest_checkpoint_alone(tmp_path):
    run = tmp_path / "run"
    agent = PPO(Breaking, replace(SMALL, learning_rate_schedule="constant"))
    with pytest.raises(NonFiniteError, match="update 3"):
        agent.learn(320, run=run, checkpoint_every=32)
    latest = load_checkpoint(run / "checkpoints").state
    assert latest["step"] == 64
    assert_same(latest["learner"], agent.learner.state())
    with np.load(run / "crash" / "step_000000096.npz", allow_pickle=False) as crash:
        assert crash["reward"].max() > 1e29
        assert {"observation", "action", "advantage"} <= set(crash.files)
    assert "became NaN or infinite" in (run / "crash" / "step_000000096.txt").read_text(encoding="utf-8")
    assert [row["step"] for row in read_metrics(run / "metrics.jsonl")] == [32, 64]
    PPO.load(run, CountingEnv).learn(96)
    assert read_metrics(run / "metrics.jsonl")[-1]["train/n_updates"] == 3


def test_without_a_folder_a_nan_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NonFiniteError):
        PPO(Breaking, SMALL).learn(320)
    assert list(tmp_path.iterdir()) == []


def test_callbacks_see_the_metrics_and_stop_with_false():
    seen = []

    def callback(trainer, metrics):
        seen.append((trainer.step, metrics["train/n_updates"]))
        return None if trainer.step < 96 else False

    agent = PPO("CartPole-v1", SMALL).learn(320, callbacks=[callback, lambda trainer, metrics: 0])
    assert seen == [(32, 1), (64, 2), (96, 3)]
    assert agent._trainer.stopped_by == "callback"
    agent.learn(160)
    assert agent._trainer.stopped_by is None
    assert agent._trainer.step == 160


def test_games_are_held_while_the_learner_thinks_and_are_evaluated():
    events = []

    class Live(CountingEnv):
        def pause(self):
            events.append("pause")

        def resume(self):
            events.append("resume")

        def step(self, action):
            events.append("step")
            return super().step(action)

    agent = PPO(Live(), SMALL, eval_env=CountingEnv())
    update, evaluate = agent.learner.update, agent._evaluation
    agent.learner.update = lambda buffer: events.append("update") or update(buffer)
    agent._evaluation = lambda stop: events.append("evaluate") or evaluate(stop)
    agent.learn(32, evaluate_every=32, evaluate_episodes=1)
    steps = ["step"] * 16
    assert events == [*steps, "pause", "update", "resume", *steps, "pause", "update", "evaluate", "resume"]


def test_metrics_have_their_names(tmp_path):
    PPO("CartPole-v1", SMALL).learn(320, run=tmp_path / "run", evaluate_every=160, evaluate_episodes=2)
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(32, 321, 32))
    expected = {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/episodes",
        "train/approx_kl",
        "train/entropy",
        "train/explained_variance",
        "train/learning_rate",
        "time/fps",
        "time/env_share",
        "time/act_share",
        "time/update_share",
    }
    assert expected <= set(rows[-1])
    assert rows[-1]["rollout/ep_rew_mean"] == rows[-1]["rollout/ep_len_mean"] > 8
    shares = [rows[-1][f"time/{part}_share"] for part in ("env", "act", "update")]
    assert 0 < sum(shares) <= 1
    assert [row["step"] for row in rows if "eval/mean_reward" in row] == [160, 320]


def test_every_sink_and_the_view_get_every_update():
    class Sink:
        def __init__(self):
            self.steps = []

        def write(self, step, metrics):
            self.steps.append(step)

        update = write

    sink, other, view = Sink(), Sink(), Sink()
    PPO("CartPole-v1", SMALL).learn(96, sinks=[sink, other], view=view)
    assert sink.steps == other.steps == view.steps == [32, 64, 96]


def test_what_a_callback_adds_reaches_every_sink_and_the_view(tmp_path):
    class Sink:
        seen = ()

        def write(self, step, metrics):
            self.seen += (metrics["mine/double"],)

        update = write

    def add(trainer, metrics):
        metrics["mine/double"] = 2.0 * trainer.step

    sink, view = Sink(), Sink()
    PPO("CartPole-v1", SMALL).learn(96, run=tmp_path / "run", sinks=[sink], view=view, callbacks=[add])
    assert sink.seen == view.seen == (64.0, 128.0, 192.0)
    assert [row["mine/double"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [64.0, 128.0, 192.0]


def test_chosen_entries_of_info_are_logged(tmp_path):
    class Telling(CountingEnv):
        def step(self, action):
            *rest, info = super().step(action)
            return *rest, info | {"score": 7.0, "lives": 3}

    PPO(Telling, SMALL).learn(96, run=tmp_path / "run", info_keys=("score",))
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert rows[-1]["info/score"] == 7.0
    assert not any("info/lives" in row for row in rows)


def test_relabelled_rewards_are_learned_from_and_the_envs_are_counted():
    asked = []

    def relabel(buffer, positions):
        asked.append(positions)
        return np.full(np.shape(positions), 0.25, np.float32)

    agent = PPO(CountingEnv, SMALL).learn(32, relabel=relabel)
    assert asked
    assert (agent._trainer.buffer.rollout(16).column("reward") == 0.25).all()
    assert agent.mean_return > 1
    agent.learn(64)
    assert (agent._trainer.buffer.rollout(16).column("reward") == 0.25).all()
    agent.learn(96, relabel=False)
    assert not (agent._trainer.buffer.rollout(16).column("reward") == 0.25).any()


def test_checkpoints_come_as_often_as_asked_and_at_the_end(tmp_path):
    PPO("CartPole-v1", SMALL).learn(224, run=tmp_path / "run", checkpoint_every=64)
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step_*"))
    assert names == ["step_000000128", "step_000000192", "step_000000224"]  # the newest three
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == 224


def test_the_best_evaluation_keeps_its_checkpoint(tmp_path):
    means = iter([1.0, 5.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    agent = PPO("CartPole-v1", SMALL)
    agent._evaluation = lambda stop: {"eval/mean_reward": next(means)}
    agent.learn(224, run=tmp_path / "run", evaluate_every=32, checkpoint_every=32)
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best").state["step"] == 64
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step_*"))
    assert names == ["step_000000064", "step_000000160", "step_000000192", "step_000000224"]


def test_the_best_evaluation_is_remembered_across_a_resume(tmp_path):
    agent = PPO("CartPole-v1", SMALL)
    agent._evaluation = lambda stop: {"eval/mean_reward": 9.0}
    agent.learn(64, run=tmp_path / "run", evaluate_every=64)
    loaded = PPO.load(tmp_path / "run")
    loaded._evaluation = lambda stop: {"eval/mean_reward": 7.0}
    loaded.learn(128, run=tmp_path / "other", evaluate_every=64)
    assert not (tmp_path / "other" / "checkpoints" / "best").exists()


def test_evaluation_leaves_no_trace_in_the_training():
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, normalize_observation=True)
    plain = PPO("CartPole-v1", config, seed=4).learn(256)
    watched = PPO("CartPole-v1", config, seed=4).learn(256, evaluate_every=32, evaluate_episodes=3)
    assert_same(watched.learner.state(), plain.learner.state())
    assert_same(watched._trainer.collector.state(), plain._trainer.collector.state())
    assert watched._trainer.statistics.state() == plain._trainer.statistics.state()


def test_statistics_hold_raw_rewards():
    config = PPOConfig(num_envs=2, n_steps=64, minibatch_size=64, reward_scale=100.0, reward_clip=0.5)
    agent = PPO("CartPole-v1", config).learn(512)
    state = agent._trainer.statistics.state()
    assert state["returns"] == state["lengths"] != []


class EndedByHand(RuntimeError):
    """What an env raises once a person has ended the game for good."""

    stop_training = True


class Endable(CountingEnv):
    """Its ``last``-th step, or the first reset after it, raises; nothing of it can be rebuilt."""

    spec = gym.envs.registration.EnvSpec("Endable-v0", nondeterministic=True)

    def __init__(self, last, where, error=EndedByHand):
        super().__init__()
        self.last, self.where, self.error, self.steps = last, where, error, 0

    def reset(self, **options):
        self.end_by_hand("reset")
        return super().reset(**options)

    def step(self, action):
        self.steps += 1
        self.end_by_hand("step")
        return super().step(action)

    def end_by_hand(self, where):
        if where == self.where and self.steps >= self.last:
            raise self.error("Ctrl+Shift+F12")


def small(kind):
    if kind is PPO:
        return SMALL
    return DQNConfig(num_envs=2, learning_starts=16, batch_size=8, buffer_size=64)


@pytest.mark.parametrize("where", ["step", "reset"])
@pytest.mark.parametrize("kind", [PPO, DQN])
def test_an_env_that_a_person_has_ended_stops_the_run_which_is_saved(tmp_path, kind, where):
    run = tmp_path / "run"
    agent = kind(lambda: Endable(40, where), small(kind)).learn(320, run=run)
    assert agent._trainer.stopped_by == "EndedByHand"
    assert 64 < agent._trainer.step < 110
    saved = load_checkpoint(run / "checkpoints").state
    assert saved["step"] == agent._trainer.step
    assert_same(saved["learner"], agent.learner.state())  # as the last update left it
    resumed = kind.load(run, lambda: Endable(1000, where)).learn(320)
    assert resumed._trainer.stopped_by is None
    assert resumed._trainer.step >= 320


@pytest.mark.parametrize("where", ["step", "reset"])
def test_a_run_that_is_ended_before_its_first_update_can_go_on(tmp_path, where):
    run = tmp_path / "run"
    agent = PPO(lambda: Endable(0, where), SMALL).learn(320, run=run)
    assert (agent._trainer.stopped_by, agent._trainer.step) == ("EndedByHand", 0)
    assert PPO.load(run, CountingEnv).learn(64)._trainer.step == 64


def test_the_view_is_told_who_ended_the_run():
    class View:
        said = ()

        def update(self, step, metrics):
            pass

        def notice(self, text):
            self.said += (text,)

    view = View()
    PPO(lambda: Endable(40, "step"), SMALL).learn(320, view=view)
    assert view.said == ("EndedByHand: Ctrl+Shift+F12",)


@pytest.mark.parametrize("where", ["step", "reset"])
@pytest.mark.parametrize("kind", [PPO, DQN])
def test_any_other_exception_of_an_env_is_the_callers_after_what_was_learned_is_saved(tmp_path, kind, where):
    run = tmp_path / "run"
    agent = kind(lambda: Endable(40, where, ZeroDivisionError), small(kind))
    with pytest.raises(ZeroDivisionError, match=r"Ctrl\+Shift\+F12"):
        agent.learn(320, run=run)
    saved = load_checkpoint(run / "checkpoints").state
    assert saved["step"] == agent.steps > 64
    assert_same(saved["learner"], agent.learner.state())
    assert kind.load(run, CountingEnv).learn(320).steps >= 320


def test_an_env_that_raises_at_once_leaves_no_checkpoint(tmp_path):
    with pytest.raises(ZeroDivisionError):
        PPO(lambda: Endable(0, "reset", ZeroDivisionError), SMALL).learn(320, run=tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").glob("step_*"))


class Broken:
    """A sink that fails with the third update."""

    def __init__(self):
        self.written = 0

    def write(self, step, metrics):
        self.written += 1
        if self.written == 3:
            raise OSError("no space left")


@pytest.mark.parametrize("what", ["callback", "sink", "metric", "evaluation"])
def test_what_raises_after_an_update_does_not_cost_what_was_learned(tmp_path, what):
    """The last checkpoint before it would be that of step 64."""
    agent = PPO("CartPole-v1", SMALL)
    more = {"checkpoint_every": 64}

    def third(trainer, metrics):
        if trainer.step == 96:
            metrics["mine"] = "text" if what == "metric" else 1 / 0

    def evaluate(stop):
        assert agent.steps < 96
        return {}

    if what == "evaluation":
        agent._evaluation = evaluate
        more["evaluate_every"] = 32
    else:
        more |= {"sinks": [Broken()]} if what == "sink" else {"callbacks": [third]}
    with pytest.raises((ZeroDivisionError, OSError, ConfigError, AssertionError)):
        agent.learn(320, run=tmp_path / "run", **more)
    saved = load_checkpoint(tmp_path / "run" / "checkpoints").state
    assert saved["step"] == 96
    assert_same(saved["learner"], agent.learner.state())


def test_a_failure_that_cannot_be_saved_says_so_and_is_still_the_first(tmp_path, monkeypatch):
    def full(self):
        raise OSError("no space left")

    monkeypatch.setattr(Trainer, "save", full)
    with pytest.raises(ZeroDivisionError) as caught:
        PPO("CartPole-v1", SMALL).learn(64, run=tmp_path / "run", callbacks=[lambda trainer, metrics: 1 / 0])
    assert "could not be saved: no space left" in caught.value.__notes__[0]


class HasStates(Endable):
    """Gives its state, which is ahead of what is stored when a step raises."""

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        pytest.fail("the state of an env that is ahead was put back")


def test_after_an_error_the_envs_do_not_go_on_from_where_nobody_saw_them(tmp_path):
    with pytest.raises(ZeroDivisionError):
        PPO(lambda: HasStates(40, "step", ZeroDivisionError), SMALL).learn(320, run=tmp_path / "run")
    assert PPO.load(tmp_path / "run", lambda: HasStates(1000, "step")).learn(320).steps >= 320


@pytest.mark.parametrize(("returned", "words"), [
    (None, "relabel returned None for positions"),
    (3.0, "relabel returned 3.0 for positions"),
    (np.zeros(3), r"an array of the shape \(3,\) for positions of the shape"),
    ("text", "relabel returned 'text'"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [PPO, DQN])
def test_a_relabel_that_gives_no_rewards_is_named(kind, returned, words):
    with pytest.raises(ConfigError, match=words):
        kind("CartPole-v1", small(kind)).learn(64, relabel=lambda buffer, positions: returned)


def halved(buffer, positions):
    return buffer.take("reward", positions) / 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_relabel_that_gives_no_finite_reward_is_named(bad):
    def relabel(buffer, positions):
        made = np.ones(positions.shape, np.float32)
        made.flat[3] = bad
        return made

    with pytest.raises(ConfigError, match=rf"relabel returned the reward {bad} at position \d+; must be finite"):
        PPO("CartPole-v1", SMALL).learn(64, relabel=relabel)


@pytest.mark.parametrize("wrong", [3, 0, "halved", True])
def test_a_relabel_that_is_no_function_is_named_before_anything_is_played(wrong):
    with pytest.raises(ConfigError, match="must be a function"):
        PPO("CartPole-v1", SMALL).learn(64, relabel=wrong)


def test_a_run_that_was_relabelled_does_not_go_on_without_it_in_silence(tmp_path):
    run = tmp_path / "run"
    PPO("CartPole-v1", SMALL).learn(64, run=run, relabel=halved)
    assert json.loads((run / "config.json").read_text())["relabel"] is True
    agent = PPO.load(run)
    agent.evaluate(2)  # which needs none
    with pytest.raises(ConfigError, match=r"was trained with relabel=.*relabel=False"):
        agent.learn(96)
    assert PPO.load(run).learn(96, relabel=halved).steps == 96
    assert PPO.load(run).learn(128, relabel=False).steps == 128
    config = json.loads((run / "config.json").read_text())
    assert config["relabel"] is False
    assert {"step": 96, "field": "relabel", "from": True, "to": False} in config["changes"]
    assert PPO.load(run).learn(160).steps == 160


def test_an_edit_of_config_json_ends_relabelling(tmp_path):
    run = tmp_path / "run"
    PPO("CartPole-v1", SMALL).learn(64, run=run, relabel=halved)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"relabel": False}))
    assert PPO.load(run).learn(96).steps == 96


@pytest.mark.parametrize("total", [64, 96_000])
def test_info_keys_of_which_nothing_comes_are_said_once(total, caplog):
    class Telling(CountingEnv):
        def step(self, action):
            *rest, info = super().step(action)
            return *rest, info | {"score": 7.0, "place": "north"}

    def stop(trainer, metrics):
        return trainer.statistics.count < 150

    with caplog.at_level("WARNING"):
        PPO(Telling, SMALL).learn(total, info_keys=("score", "scroe", "place"), callbacks=[stop])
    said = [record.getMessage() for record in caplog.records if "info_keys" in record.getMessage()]
    assert len(said) == 1
    assert "info_keys: 'scroe', 'place' logged nowhere" in said[0]


def test_a_long_evaluation_tells_the_view_how_far_it_is(monkeypatch):
    monkeypatch.setattr("hakisa_algos.training.evaluate._TELL_SECONDS", 0.0)
    said = []

    class View:
        def update(self, step, metrics):
            pass

        def status(self, text):
            said.append(text)

    PPO("CartPole-v1", SMALL).learn(32, evaluate_every=32, evaluate_episodes=2, view=View())
    assert said[0] == "evaluating: 0 of 2 episodes after 2 steps"
    assert any(text.startswith("evaluating: 1 of 2 episodes") for text in said)
