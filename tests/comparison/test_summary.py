"""Tables from results: ranks, normalisation, missing runs, when two are told apart."""

import numpy as np
import pytest

from hakisa_algos.comparison.plan import Plan, Protocol
from hakisa_algos.comparison.summary import (
    apart,
    at_equal_time,
    curves,
    ended,
    median_seed,
    normalisation,
    notes,
    pairwise,
    rankings,
)
from hakisa_algos.training.aggregate import Estimate

SEEDS = (1, 2, 3, 4)


def run(score, speed=1.0, **said):
    way = {"returns": [score - 1, score + 1], "lengths": [1, 1], "limit": 9, "cut": [False] * 2, "trajectories": [0, 1]}
    way |= {name: [None, None] for name in ("outcomes", "opponents", "starts")} | said
    curve = [{"step": step, "seconds": step / speed, "returns": [score * step / 100]} for step in (0, 50, 100)]
    return {"final": {"deterministic": way, "stochastic": way}, "curve": curve, "steps": 100, "seconds": 100 / speed}


def plan_of(*algorithms, envs=("a",)):
    return Plan(algorithms, envs, SEEDS, Protocol())


def results_of(plan, **scores):
    """``name=[score of seed 1, ...]``, the same on every env but ten times as much on each next one."""
    return {
        (name, env, seed): run(score * 10**i)
        for name, of_seeds in scores.items()
        for i, env in enumerate(plan.envs)
        for seed, score in zip(SEEDS, of_seeds, strict=False)
    }


def test_the_best_comes_first_and_is_told_from_the_next():
    plan = plan_of("random", "low", "high")
    results = results_of(plan, random=[0, 0, 0, 0], low=[1, 2, 3, 4], high=[5, 6, 7, 8])
    (table,) = rankings(plan, results)
    assert [row.algorithm for row in table.rows] == ["high", "low", "random"]
    assert [row.told_apart for row in table.rows] == [True, True, False]
    assert table.rows[0].deterministic.value == 6.5
    assert table.rows[-1].above_next is None


def test_overlapping_runs_are_not_told_apart():
    plan = plan_of("one", "two")
    (table,) = rankings(plan, results_of(plan, one=[1, 2, 3, 4], two=[1.5, 2.5, 2.6, 3.5]))
    assert not any(row.told_apart for row in table.rows)


def test_three_runs_are_too_few_to_tell_anything_apart():
    perfect = Estimate(1, 1, 1)
    assert [apart(perfect, runs) for runs in (3, 4)] == [False, True]
    assert apart(Estimate(0.1, 0, 0.4), 5)
    assert not apart(Estimate(0.8, 0.5, 1), 5)


def test_over_several_envs_each_counts_the_same():
    """The second env pays ten times as much: it must not weigh ten times as much."""
    plan = plan_of("random", "one", envs=("a", "b"))
    results = results_of(plan, random=[0, 0, 0, 0], one=[1, 1, 1, 2])
    assert normalisation(plan, results, "a") == (0, 2)
    assert normalisation(plan, results, "b") == (0, 20)
    over_all, *each = rankings(plan, results)
    assert (over_all.env, [table.env for table in each]) == (None, ["a", "b"])
    assert over_all.rows[0].deterministic.value == 0.5
    assert over_all.rows[1].deterministic.value == 0


def test_runs_that_are_missing_are_left_out_and_counted():
    plan = plan_of("one", "two", envs=("a", "b"))
    results = results_of(plan, one=[1, 2, 3, 4], two=[5, 6])
    del results["two", "b", 2]
    over_all, first, second = rankings(plan, results)
    runs = [{row.algorithm: row.runs for row in table.rows} for table in (over_all, first, second)]
    assert runs == [{"one": 4, "two": 1}, {"one": 4, "two": 2}, {"one": 4, "two": 1}]
    assert rankings(plan, {}) == []


def test_pairs_are_compared_over_the_envs_that_both_played():
    plan = plan_of("one", "two", "three", envs=("a", "b"))
    results = results_of(plan, one=[1, 2, 3, 4], two=[5, 6, 7, 8])
    results = {key: value for key, value in results.items() if key[:2] != ("two", "b")}
    found = pairwise(plan, results)
    assert set(found) == {("one", "two"), ("two", "one")}
    assert found["two", "one"].value == 1
    assert found["one", "two"].value == 0


def test_curves_by_steps_and_by_seconds():
    plan = plan_of("slow", "fast")
    results = {("slow", "a", seed): run(8, speed=1) for seed in SEEDS}
    results |= {("fast", "a", seed): run(4, speed=10) for seed in SEEDS}
    ends = {by: {k: grid[-1] for k, (grid, *_) in curves(plan, results, "a", by).items()} for by in ("step", "seconds")}
    assert ends == {"step": {"slow": 100, "fast": 100}, "seconds": {"slow": 100, "fast": 10}}
    assert curves(plan, results, "a", "step")["slow"][1] == pytest.approx(np.linspace(0, 8, 60))
    seconds, scores = at_equal_time(plan, results, "a")
    assert seconds == 10
    assert scores["fast"].value == pytest.approx(4)
    assert scores["slow"].value == pytest.approx(0.8)


def test_the_middle_run_stands_for_its_algorithm():
    plan = plan_of("one")
    assert median_seed(plan, results_of(plan, one=[9, 1, 5]), "one", "a") == 3
    assert median_seed(plan, {}, "one", "a") is None


def test_how_games_ended_is_told_by_opponent_and_start_and_games_that_went_alike_count_once():
    plan = plan_of("one", "two")
    won = {"outcomes": ["win", "win"], "opponents": ["weak", "weak"], "starts": ["left", "right"]}
    results = {
        ("one", "a", 1): run(1, **won, trajectories=[0, 0]),
        ("one", "a", 2): run(1, **won | {"outcomes": ["draw", "loss"], "opponents": ["weak", "strong"]}),
        ("two", "a", 1): run(2),
    }
    every = ended(plan, results)
    assert {key[:3] for key in every} == {("a", way, "one") for way in ("deterministic", "stochastic")}
    found = {among: rates for (_, way, _, among), rates in every.items() if way == "deterministic"}
    assert {among: rates.games for among, rates in found.items()} == {
        "all": 3,
        "against weak": 2,
        "against strong": 1,
        "from left": 2,
        "from right": 2,
    }
    assert (found["all"].win.value, found["all"].loss.value, found["all"].draw.value) == (1 / 3, 1 / 3, 1 / 3)
    assert (found["against weak"].win.value, found["against strong"].loss.value) == (0.5, 1)


def test_cut_episodes_and_missing_videos_are_noted():
    plan = plan_of("one", "two")
    results = {("one", "a", seed): run(1, cut=[True, False]) for seed in (1, 2)} | {("two", "a", 1): run(1)}
    results["two", "a", 1]["video"] = {"missing": "no screen"}
    assert notes(plan, results) == [
        "4 of 8 final episodes of one on a were cut after 9 steps",
        "1 runs have no video: no screen",
    ]
