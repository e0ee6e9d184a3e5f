"""Tables as text, Markdown and HTML, and the preset of the README's."""

from hakisa_algos.cli.compare import CompareArguments, _plan
from hakisa_algos.comparison.grid import Figure, Grid, as_html, as_markdown, as_text
from hakisa_algos.comparison.table import readme_grid
from hakisa_algos.training.aggregate import Estimate
from tests.comparison.test_summary import plan_of, results_of


def markdown_table(plan, results):
    return as_markdown(readme_grid(plan, results))


def test_one_table_in_three_forms():
    figures = [Figure(Estimate(value, value - 1, value + 1), note="<told>", mark="best") for value in (2, 4)]
    grid = Grid("A <title>", ("name", "score"), [("one", figures[0]), ("<two>", figures[1])], drawn=1, note="So & so")
    assert as_text(grid).splitlines() == [
        "A <title>",
        "  name   score",
        "  one    2.00 [1.00, 3.00] <told>",
        "  <two>  4.00 [3.00, 5.00] <told>",
        "  So & so",
    ]
    assert as_markdown(grid).splitlines()[2] == "| one | **2.00** [1.00, 3.00] <told> |"
    page = as_html(grid, {"one": "c3"})
    assert '<i class="c3"></i><b>one</b>' in page
    assert page.count("whisker c3") == 1
    assert page.count("whisker") == 2
    assert page.count('<td class="best">') == 2
    assert "So &amp; so" in page
    assert "<told>" not in page
    assert "<two>" not in page
    assert "<title>" not in page


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
