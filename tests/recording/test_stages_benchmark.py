"""The benchmark of the stages: its controls are what they are called, and a job that is stopped goes on."""

import argparse
import dataclasses
import importlib
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from hakisa_algos import DQNConfig, PPOConfig
from hakisa_algos.stages.recording import Recording
from tests.helpers.pressed import ENV, PRESS, press

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
GIVEN = {
    "seed": 1, "threads": 1, "steps": 1024, "minutes": None, "displays": 4, "warmup": 128, "evaluations": 2,
    "evaluation_lives": 4, "lives": 4, "config": {}, "wall_minutes": None,
}  # fmt: skip


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def game(benchmark):
    games = benchmark("_games")
    return dataclasses.replace(
        games.LBREAKOUT2,
        name="press",
        env=ENV,
        options=PRESS,
        longest=100,
        live=False,
        ppo=PPOConfig(n_steps=32, minibatch_size=32, epochs=1, own_critic=True),
        dqn=DQNConfig(
            learning_starts=64, train_every=128, gradient_steps=2, hidden_sizes=(16,), demonstration_share=0.25
        ),
    )


@pytest.fixture
def home(benchmark, tmp_path):
    press(tmp_path / "recordings" / "teacher")
    (tmp_path / "recorded.json").write_text('{"minutes": 3.5}')
    benchmark("_teaching").study(tmp_path / "recordings" / "teacher", tmp_path / "clones" / "teacher", 0, 20, 1)
    return tmp_path


def actions(recording):
    rows = recording.column("transition")
    return [recording.column("action")[episode][rows[episode]].tolist() for episode in recording.episodes]


def test_shuffled_recordings_differ_in_the_order_of_actions_within_episodes_alone(benchmark, tmp_path):
    source = press(tmp_path / "source")
    folder = benchmark("_recordings").shuffled(tmp_path / "source", tmp_path / "shuffled")
    found = Recording.open(folder)
    for one, other in zip(actions(source), actions(found), strict=True):
        assert sorted(one) == sorted(other)
        assert one != other
    for name in ("reward", "terminated", "transition", "learned", "age", "t_ns"):
        assert (source.column(name) == found.column(name)).all()
    assert (source.rows.observation(source.position) == found.rows.observation(source.position)).all()
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    benchmark("_recordings").shuffled(tmp_path / "source", folder)
    assert written == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_clone_is_begun_from_by_plain_and_prior_and_by_no_other_arm(benchmark, game, home):
    arms = benchmark("_arms")
    given = argparse.Namespace(**GIVEN)
    begun = {name: arms.begin(game, arms.ARMS[name], "teacher", home, given) for name in arms.ARMS}
    clone = arms.StoredRun.read(home / "clones" / "teacher").checkpoint.state["learner"]["policy"]
    same = {
        name: agent.name == "ppo"
        and all((value == clone[key]).all() for key, value in agent.policy.state_dict().items())
        for name, agent in begun.items()
    }
    assert same == {"alone": False, "plain": True, "prior": True, "dqn": False}
    assert [name for name, agent in begun.items() if agent.learner.facts().prior is not None] == ["prior"]
    assert begun["dqn"].learner.demonstrations.rows == Recording.open(home / "recordings" / "teacher").rows.rows
    assert len({agent.config.total_steps for agent in begun.values()}) == 1


@pytest.mark.parametrize("name", ["alone", "prior", "dqn_shuffled"])
def test_an_arm_that_is_stopped_goes_on_where_it_was(name, benchmark, game, home, monkeypatch, capsys):
    arms = benchmark("_arms")
    given, wrote = argparse.Namespace(**GIVEN), arms.Diary.__call__

    def stopped(diary, trainer, metrics):
        goes_on = wrote(diary, trainer, metrics)
        if trainer.step == 512:
            signal.raise_signal(signal.SIGTERM)
        return goes_on

    monkeypatch.setattr(arms.Diary, "__call__", stopped)
    assert arms.measure(game, name, home, given) is None
    assert "SIGTERM" in capsys.readouterr().out
    run = home / "runs" / f"{name}_seed1"
    # What a kill leaves behind: lives of steps that were not saved, and half a line.
    before = arms.lives_of(run).read_text()
    arms.lives_of(run).write_text(before + "[640, 3.0]\n[64")
    monkeypatch.setattr(arms.Diary, "__call__", wrote)
    found = arms.measure(game, name, home, given)
    lives = [json.loads(line) for line in arms.lives_of(run).read_text().splitlines()]
    assert arms.lives_of(run).read_text().startswith(before)
    assert found["training_lives"] == len(lives) == 1024 // PRESS["episode_length"]
    assert [step for step, _ in lives] == sorted(step for step, _ in lives)
    assert found["env_steps"] == 1024
    assert found["human_minutes"] == (0 if name == "alone" else 3.5)
    assert len(found["final"]["drawn"]["points"]) == 4
    assert bool(found["prior_weight"]) == (name == "prior")
    minutes = [row["benchmark/wall_minutes"] for row in arms.read_metrics(run / "metrics.jsonl")]
    assert minutes == sorted(minutes)


def test_an_arm_that_has_so_many_minutes_is_done_in_parts(benchmark, game, home, capsys):
    arms = benchmark("_arms")
    parts = argparse.Namespace(**GIVEN | {"wall_minutes": 1e-9})  # over after the first update
    run, steps, found, times = home / "runs" / "plain_shuffled_seed1", [], None, 0
    benchmark("_teaching").study(arms.source_of(home, "shuffled"), home / "clones" / "shuffled", 0, 20, 1)
    while found is None:
        found, times = arms.measure(game, "plain_shuffled", home, parts), times + 1
        steps.append(arms.read_metrics(run / "metrics.jsonl")[-1]["step"])
        assert times < 20
    assert steps == [128 * part for part in range(1, 9)] + [1024]
    assert "Stopped after 1e-09 minutes, and saved: the same command goes on." in capsys.readouterr().out
    assert found["training_lives"] == 1024 // PRESS["episode_length"]
    assert (found["taught_by"], found["human_minutes"]) == ("shuffled", 3.5)
    metrics = arms.read_metrics(run / "metrics.jsonl")
    assert [row["step"] for row in metrics] == steps[:-1]
    minutes = [row["benchmark/wall_minutes"] for row in metrics]
    assert minutes == sorted(minutes)
    assert found["wall_minutes"] == round(minutes[-1], 2)


def test_each_arm_that_is_taught_has_its_controls(benchmark):
    arms = benchmark("_arms")
    taught = [name for name, arm in arms.ARMS.items() if arm.is_taught]
    assert set(arms.NAMES) == {
        *arms.ARMS,
        *(f"{name}_{source}" for name in taught for source in ("shuffled", "random")),
    }


def test_an_end_costs_in_training_and_points_do_not_tell(benchmark, game, home):
    arms = benchmark("_arms")
    cost = arms.charged(3.0)
    rows = Recording.open(home / "recordings" / "teacher").rows
    at = np.arange(rows.rows - 1)
    ended = rows.take("terminated", at)
    assert ended.any()
    assert (cost(rows, at) == rows.take("reward", at) - 3.0 * ended).all()
    assert arms.charged(0.0) is None


def test_the_worst_window_is_of_consecutive_lives(benchmark):
    worst = benchmark("_arms").worst
    assert worst([5, 1, 0, 2, 9], 2) == {"mean": 0.5, "lives": 2, "from_life": 1}
    assert worst([5, 1], 200) == {"mean": 3.0, "lives": 2, "from_life": 0}


def test_chance_alone_makes_a_window_that_is_worse_than_the_mean(benchmark):
    unchanged = benchmark("_arms_table").unchanged
    assert unchanged([5.0] * 10, 300) == 1
    assert 0.8 < unchanged([0.0, 10.0], 1000) < 0.95
    assert unchanged([0.0, 10.0], 200) == pytest.approx(1, abs=0.02)


def test_the_weight_of_the_prior_is_told_where_it_changes(benchmark):
    rows = [{"step": n, "train/prior_weight": weight} for n, weight in enumerate((1.0, 1.0, 0.5, 0.5, 0.0))]
    assert benchmark("_arms").weights([{"step": 9}, *rows]) == [[0, 1.0], [2, 0.5], [4, 0.0]]


def test_intervals_are_over_seeds_and_lives(benchmark):
    table = benchmark("_arms_table")

    def width(seeds):
        low, high = table.interval(table.means([np.array(lives, float) for lives in seeds], np.random.default_rng(0)))
        return high - low

    lives = [0, 10] * 50
    assert width([[5] * 100] * 3) == 0
    assert width([lives]) == pytest.approx(2 * 1.96 * 5 / 10, rel=0.1)
    assert width([lives] * 4) == pytest.approx(width([lives]) / 2, rel=0.1)
    assert width([[0] * 100, [10] * 100]) == 10


def test_the_table_has_all_arms_that_were_run(benchmark, tmp_path):
    table = benchmark("_arms_table")
    final = {"points": [300.0] * 10}
    score = {"mean": 100.0, "sem": 1.0, "lives": 10, "points": [100.0] * 10}
    teacher = score | {"mean": 120.0, "points": [120.0] * 10}
    taught = {
        "game": "made up", "human_minutes": 15, "teacher": teacher, "random": score | {"mean": 20.0},
        "clone": {"best": score, "drawn": score},
    }  # fmt: skip
    (tmp_path / "stages_made_teacher.json").write_text(json.dumps(taught))
    for name, points in (("alone", 50.0), ("prior", 300.0), ("prior_random", 30.0), ("dqn", 60.0)):
        for seed in (1, 2):
            run = {
                "seed": seed, "human_minutes": 15, "wall_minutes": 20, "live_minutes": 15, "game_minutes": 120,
                "final": dict.fromkeys(("best", "drawn"), final | {"points": [points] * 10}),
                "worst_window": {"mean": 90.0 - seed}, "training_lives": 500,
                "curve_steps_points": [[100, 1.0], [200, points]],
            }  # fmt: skip
            (tmp_path / f"stages_made_{name}_seed{seed}.json").write_text(json.dumps(run))
    taught, runs = table.load(tmp_path, "made")
    rows = {
        cells[0]: cells[1:]
        for line in table.table(taught, runs, "life").splitlines()
        if line.startswith("| ")
        for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert rows["clone, warm-up, fading prior (PPO)"] == [
        "1, 2", "300 [300, 300]", "300 [300, 300]", "200 [200, 200]", "180 [180, 180]", "6.00", "15.00", "88%",
        "20.0, 15.0, 120.0", "15",
    ]  # fmt: skip
    assert {len(cells) for cells in rows.values()} == {10}
    assert rows["the clone alone"][-1] == "15"
    # What does not begin from that clone is not held against it.
    at = rows["player"].index("worst 200 lives, of the clone's")
    assert [
        cells[at] for name, cells in rows.items() if name not in ("player", "clone, warm-up, fading prior (PPO)")
    ] == ["" for _ in range(6)]
    table.draw(tmp_path / "curves.png", taught, runs, "life")
    assert (tmp_path / "curves.png").stat().st_size > 1000
