"""From a recording to an agent that plays like it: the run, its resume, the reaction time; and review."""

import dataclasses
import os
import re
import signal

import gymnasium as gym
import numpy as np
import pytest
import torch

import hakisa_envs  # noqa: F401 (it registers)
from hakisa_algos import Agent
from hakisa_algos.cli.main import main
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.cloning import CloningConfig
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.recording_writer import RecordingWriter
from hakisa_algos.stages.study import Studies, Study, begun
from hakisa_envs.spaces import ConditionalMultiDiscrete
from tests.helpers.pressed import PRESS, press

CONFIG = CloningConfig(total_steps=150, update_steps=50, batch_size=64, learning_rate=5e-3, idle_run=0)
SMALL = {"hidden_sizes": (64,), "num_envs": 2}


@pytest.fixture(scope="module")
def pressed(tmp_path_factory):
    """The folder of a recording of somebody who always does what Press asks for."""
    folder = tmp_path_factory.mktemp("study") / "press"
    press(folder, episodes=40)
    return folder


def weights(folder):
    agent = Agent.load(folder)
    found = {name: entries.clone() for name, entries in agent.policy.state_dict().items()}
    agent.close()
    return found


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_the_run_is_one_of_the_algorithm_and_plays_as_was_recorded(pressed, tmp_path, algorithm):
    studies = Studies(Study((str(pressed),), algorithm, CONFIG, SMALL))
    studies.run(tmp_path / "run")
    assert studies.learner.best_report["metrics"]["held_out/accuracy"] >= 0.99
    agent = Agent.load(tmp_path / "run")
    assert agent.name == algorithm
    assert agent.steps == 0
    assert agent.config.freeze_normalizer
    assert agent.evaluate(episodes=4).mean >= 0.95 * PRESS["episode_length"]
    if algorithm == "ppo":
        agent.learn(64, run=tmp_path / "on")  # and goes on from there
        assert agent.steps >= 64
    agent.close()


def test_a_study_that_was_stopped_goes_on_bit_for_bit(pressed, tmp_path):
    class StopsIt:
        def update(self, step, metrics):
            if step == 50:
                os.kill(os.getpid(), signal.SIGTERM)

        def notice(self, text):
            pass

        status = notice

    study = Study((str(pressed),), "ppo", CONFIG, SMALL)
    Studies(study).run(tmp_path / "whole")
    trainer = Studies(study).run(tmp_path / "half", StopsIt())
    assert (trainer.stopped_by, trainer.step) == ("SIGTERM", 50)
    again, rows = begun(tmp_path / "half")
    assert again == study
    studies = Studies(again)
    studies.check_rows(rows)
    assert studies.run(tmp_path / "half", resume=True).step == 150
    whole, half = weights(tmp_path / "whole"), weights(tmp_path / "half")
    assert all(torch.equal(whole[name], half[name]) for name in whole)
    with pytest.raises(ConfigError, match="have changed"):
        studies.check_rows(rows[:-1])
    with pytest.raises(CheckpointError, match=r"study\.json"):
        begun(tmp_path)


def late_player(folder, delay, rate=30.0, learned=True):
    """Does, ``delay`` rows late, what was shown; one row in ten at random."""
    rng = np.random.default_rng(0)
    seen, done = gym.spaces.Box(0, 1, (4,), np.float32), gym.spaces.Discrete(4)
    writer = RecordingWriter(folder, seen, done, None)
    writer.describe({"name": "late", "env": "Late-v0", "rate": rate, "idle": None, "commands": list("abcd")})
    for _ in range(8):
        shown = rng.integers(4, size=100)
        pictures = np.eye(4, dtype=np.float32)[shown]
        for i in range(99):
            action = shown[max(i - delay, 0)] if rng.random() > 0.1 else rng.integers(4)
            values = {"terminated": i == 98, "t_ns": i, "learned": learned}
            writer.add(pictures[i], np.int64(action), values, start=i == 0, following=pictures[i + 1])
        writer.end(pictures[-1], {"t_ns": 99})
    writer.close()


def test_the_reaction_time_is_found_by_what_was_shown_so_long_before(tmp_path):
    late_player(tmp_path / "late", delay=6)
    studies = Studies(Study((str(tmp_path / "late"),), "ppo", CONFIG, {"hidden_sizes": (16,)}))
    said = []
    assert studies.find_delay(steps=28, say=said.append) == 6
    assert len(said) == 7
    assert [re.search(r"(\d+) ms", text)[1] for text in said][::3] == ["0", "133", "300"]


def reacting_player(folder, delay, kind, rate=20.0):
    """Does, ``delay`` rows late, what the picture asks for; one row in ten it does anything.

    Of each kind: what is asked for, row by row, and whether it is a key that is held while it is asked for (hold_only).
    """
    rng = np.random.default_rng(1)
    space = ConditionalMultiDiscrete([2, 3, 1], [[0, 0], [3, 0]])
    writer = RecordingWriter(folder, gym.spaces.Box(0, 1, (4,), np.float32), space, None)
    held = kind.startswith("levels")
    commands = ["release_all", "hold_only"] if held else ["noop", "tap"]
    writer.describe({"name": kind, "env": "Late-v0", "rate": rate, "idle": 0, "commands": commands})
    rare = [0.85, 0.05, 0.05, 0.05] if kind.endswith("unbalanced") else [0.25] * 4
    for _ in range(10):
        asked = rng.choice(4, 120, p=rare)
        if held:  # and it goes on being asked for: about five rows long
            changes = np.where(rng.random(120) < 0.2, np.arange(120), 0)
            asked = asked[np.maximum.accumulate(changes)]
        pictures = np.eye(4, dtype=np.float32)[asked]
        for i in range(119):
            done = asked[max(i - delay, 0)] if rng.random() > 0.1 else rng.integers(4)
            action = np.array([done > 0, max(done - 1, 0), 0], np.int64)
            writer.add(
                pictures[i], action, {"terminated": i == 118, "t_ns": i}, start=i == 0, following=pictures[i + 1]
            )
        writer.end(pictures[-1], {"t_ns": 119})
    writer.close()


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("kind", ["levels", "levels unbalanced", "edges", "edges unbalanced"])
def test_the_reaction_time_of_a_scripted_player_is_found(tmp_path, kind, delay):
    reacting_player(tmp_path / "late", delay, kind)
    studies = Studies(Study((str(tmp_path / "late"),), "ppo", CloningConfig(), {"hidden_sizes": (16,)}))
    assert studies.find_delay(steps=60) == delay


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_every_row_counts_alike_for_the_reaction_time_however_the_clone_weighs_them(tmp_path, balance):
    """What is mostly done is done three rows late, and four rare things at once."""
    rng = np.random.default_rng(2)
    spaces = gym.spaces.Box(0, 1, (7,), np.float32), gym.spaces.Discrete(6)
    writer = RecordingWriter(tmp_path / "late", *spaces, None)
    writer.describe({"name": "rare", "env": "Late-v0", "rate": 20.0, "idle": None, "commands": []})
    for _ in range(20):
        common, rare = rng.integers(2, size=120), rng.choice(5, 120, p=[0.92, 0.02, 0.02, 0.02, 0.02])
        pictures = np.concatenate([np.eye(2)[common], np.eye(5)[rare]], 1).astype(np.float32)
        for i in range(119):
            action = np.int64(1 + rare[i] if rare[i] else common[max(i - 3, 0)])
            values = {"terminated": i == 118, "t_ns": i}
            writer.add(pictures[i], action, values, start=i == 0, following=pictures[i + 1])
        writer.end(pictures[-1], {"t_ns": 119})
    writer.close()
    config = CloningConfig(balance=balance, learning_rate=3e-3)
    studies = Studies(Study((str(tmp_path / "late"),), "ppo", config, {"hidden_sizes": (32,)}))
    assert studies.find_delay(steps=80) == 3


@pytest.mark.parametrize("marks", [{}, {"held_out": [(5, 60), (130, 140)]}, {"dropped": [(0, 1080)]}])
def test_delays_are_judged_by_what_was_done_in_the_same_rows(tmp_path, marks):
    """The last of the marks leave one episode, of which the end is held out."""
    reacting_player(tmp_path / "late", 0, "edges")
    Recording.open(tmp_path / "late").mark(**marks)
    studies = Studies(Study((str(tmp_path / "late"),), "ppo", CloningConfig(), {"hidden_sizes": (16,)}))
    delays, judged = (0, 2, 6), []
    for delay in delays:
        learner = studies._make(CloningConfig(delay=delay))
        lessons = learner.study(studies.rows, alike=delays)
        held_out = lessons.acted[lessons.held_out]
        judged.append((held_out.tolist(), lessons.action[lessons.held_out].tolist()))
        assert len(held_out)
        assert not np.isin(lessons.acted[(lessons.weight > 0) & ~lessons.held_out], held_out).any()
    assert judged[0] == judged[1] == judged[2]


def test_a_clone_of_recordings_obeys_no_masks(pressed):
    for asked in (True, "auto"):
        with pytest.raises(ConfigError, match=r"action_masks=.* recordings, which hold no masks"):
            Studies(Study((str(pressed),), "ppo", CONFIG, SMALL | {"action_masks": asked}))


def test_recordings_of_different_games_are_not_studied_together(pressed, tmp_path):
    late_player(tmp_path / "late", delay=0)
    with pytest.raises((ConfigError, CheckpointError)):
        Studies(Study((str(pressed), str(tmp_path / "late"))))


def test_from_the_command_line(pressed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agent = ["--agent", "hidden_sizes=[64]", "num_envs=2"]
    few = ["--config.total-steps", "60", "--config.update-steps", "30", "--config.batch-size", "32"]
    assert main(["study", str(pressed), "--for", "ppo", "--delay", "0", *agent, *few]) == 0
    assert "of held-out actions are the player's own" in capsys.readouterr().out
    run = tmp_path / "runs" / "ppo-clone-press-0"
    assert (run / "agreement.json").is_file()
    assert "held_out/command_top3" in (run / "cloning.jsonl").read_text()
    assert main(["study", "--resume", str(run)]) == 0  # nothing is left to do
    assert main(["study"]) == 2
    assert "name the recordings first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("marks", "config", "said"),
    [
        ({"dropped": [(0, 34)]}, {}, "all that can be learned from is left out, of 32 rows of 2 episodes"),
        ({"held_out": [(0, 34)]}, {}, "all 32 rows that can be learned from are held out, of 32 rows of 2 episodes"),
        ({"held_out": [(17, 34)], "dropped": [(0, 17)]}, {}, "all 16 rows that can be learned from are held out"),
        ({"dropped": [(1, 34)]}, {}, "1 row of 32 rows of 2 episodes can be learned from, too little"),
        ({}, {"delay": 20}, "after a delay of 20 rows no episode has a row left"),
    ],
)
def test_where_nothing_is_left_to_learn_from_it_is_said_why(tmp_path, marks, config, said):
    recording = press(tmp_path / "press", episodes=2)
    recording.mark(**marks)
    studies = Studies(Study((str(recording.path),), "ppo", dataclasses.replace(CONFIG, **config), SMALL))
    with pytest.raises(ConfigError, match=said):
        studies.run(tmp_path / "run")
    assert not (tmp_path / "run").exists()  # so that the next try can have that name


def test_an_episode_that_was_marked_as_bad_is_named_so(tmp_path, capsys):
    recording = press(tmp_path / "press", episodes=1)
    with (recording.path / "events.jsonl").open("a") as log:
        log.write('{"t": 5, "kind": "bad"}\n')
    assert main(["study", str(recording.path), "--run", str(tmp_path / "run"), "--delay", "0"]) == 2
    told = capsys.readouterr().err
    assert "left out, of 16 rows of 1 episodes: the player marked the episodes as bad" in told
    assert "held out" not in told


def test_a_recording_without_the_focus_says_so(tmp_path):
    late_player(tmp_path / "late", delay=0, learned=False)
    with pytest.raises(ConfigError, match=r"none of 792 rows of 8 episodes can be learned from: .* focus"):
        Studies(Study((str(tmp_path / "late"),), "ppo", CONFIG)).run(tmp_path / "run")


def test_review_says_what_there_is_writes_one_page_and_marks(pressed, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["review", str(pressed), "--page", str(page), "--drop", "0", "--hold-out", "1", "30:40"]) == 0
    said = capsys.readouterr().out
    assert "640 rows, 1.1 minutes, 40 episodes" in said
    assert "left out 16" in said
    text = page.read_text()
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=[\"']?(?!data:)", text)
    assert text.count("<section") == 40
    marks = Recording.open(pressed).marks
    assert marks["dropped"].sum() == 17
    assert marks["held_out"].sum() == 17 + 6
    assert main(["review", str(pressed), "--no-page", "--drop", "77"]) == 2
    assert "number of an episode, 0 to 39" in capsys.readouterr().err
    assert main(["review", str(pressed), "--no-page", "--keep-all"]) == 0
    assert not Recording.open(pressed).marks["dropped"].any()
