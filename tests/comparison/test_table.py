"""The table that goes into a README, the picture beside it, and the preset that makes them."""

import struct

from hakisa_algos.cli.compare import CompareArguments, _plan
from hakisa_algos.comparison.charts import png_of_all
from hakisa_algos.comparison.summary import curves
from hakisa_algos.comparison.table import markdown_table
from tests.comparison.test_summary import plan_of, results_of


def test_markdown_has_a_line_for_each_algorithm_and_a_column_for_each_env():
    plan = plan_of("random", "low", "high", envs=("a", "b"))
    results = results_of(plan, random=[0, 0, 0, 0], low=[1, 2, 3, 4], high=[5, 6, 7, 8])
    del results["low", "b", 4]
    del results["high", "a", 1]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown_table(plan, results).split("\n")
    ]
    assert lines[0] == ["algorithm", "a, 100,000 env steps", "b, 100,000 env steps"]
    assert lines[1] == ["---"] * 3
    assert [line[0] for line in lines[2:]] == ["high", "low", "random"]
    assert lines[2][2].startswith("65.0 [")  # three runs of the second are too few to tell them apart
    assert lines[2][1].endswith("(3 of 4 runs)")
    assert lines[4][1] == "0.00 [0.00, 0.00]"

    results = results_of(plan, random=[0, 0, 0, 0], low=[1, 2, 3, 4], high=[5, 6, 7, 8])
    lines = markdown_table(plan, results).split("\n")
    assert [line.count("**") for line in lines[2:]] == [4, 0, 0]


def test_who_has_not_played_an_env_stands_there_nevertheless():
    plan = plan_of("one", "two", envs=("a", "b"))
    results = {
        key: run for key, run in results_of(plan, one=[1, 2, 3, 4], two=[5, 6, 7, 8]).items() if key[:2] != ("two", "b")
    }
    assert markdown_table(plan, results).split("\n")[3].endswith("| no run |")
    assert markdown_table(plan, {}).split("\n")[2:] == []


def test_one_picture_holds_all_envs(tmp_path):
    plan = plan_of("one", "two", envs=("a", "b", "c"))
    results = results_of(plan, one=[1, 2, 3, 4], two=[5, 6, 7, 8])
    charts = [(env, curves(plan, results, env, "steps"), 0.0) for env in plan.envs]
    sizes = []
    for count in (2, 3):
        png_of_all(tmp_path / "all.png", charts[:count], {"one": 0, "two": 1})
        sizes.append(struct.unpack(">II", (tmp_path / "all.png").read_bytes()[16:24]))
    assert sizes[0][0] == sizes[1][0] == 2_000
    assert sizes[1][1] > sizes[0][1]  # another row


def test_the_preset_standard_has_the_budgets_of_its_envs():
    plan = _plan(CompareArguments(preset="standard"))
    budgets = {job.env: (job.protocol.steps, job.protocol.minutes) for job in plan.jobs}
    assert budgets == {
        "CartPole-v1": (50_000, 6),
        "Hakisa/Press-v0": (50_000, 6),
        "LunarLander-v3": (200_000, 6),
        "Hakisa/Pong-v0": (250_000, 6),
    }
    assert len(plan.jobs) == 4 * 4 * 5  # and the random player
    few = _plan(CompareArguments(preset="standard", envs=("Hakisa/Pong-v0",), steps_on=("Hakisa/Pong-v0=9",)))
    assert {job.protocol.steps for job in few.jobs} == {9}
    assert {job.protocol.steps for job in _plan(CompareArguments(preset="standard", steps=7)).jobs} == {7}
