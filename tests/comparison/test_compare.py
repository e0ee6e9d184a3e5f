"""``hakisa compare``: the table, what goes on and what is refused, budgets, failures."""

import html
import importlib.util
import json
import sys

import gymnasium as gym
import pytest

from hakisa_algos.cli.main import main
from hakisa_algos.comparison import job as jobs
from hakisa_algos.comparison.plan import PRESETS, RANDOM, Job, Plan, Protocol
from hakisa_algos.comparison.players import check_plan
from tests.comparison.endless import Endless
from tests.helpers.counting import CountingEnv

SMALL = ("--envs", "Hakisa/Press-v0", "--seeds", "1", "--final-episodes", "4", "--film-steps", "0", "--workers", "0")


def compare(out, *arguments):
    return main(["compare", "--out", str(out), *SMALL, *arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare") / "c"
    assert compare(out, "--algorithms", "ppo", "dqn", "--steps", "600") == 0
    return out


def result(out, name):
    return json.loads((out / "jobs" / name / "result.json").read_text())


def test_every_algorithm_and_the_random_player_stand_in_the_table(finished):
    lines = (finished / "table.txt").read_text().splitlines()
    assert lines[0] == "Hakisa/Press-v0 (return)"
    cells = {line.split()[0]: line.split() for line in lines[2:]}
    assert cells["ppo"][2] == f"{result(finished, 'ppo-Hakisa-Press-v0-1')['steps']:,}"  # really used: whole rollouts
    ranks = list(cells)
    assert sorted(ranks) == ["dqn", "ppo", RANDOM]
    assert ranks.index("ppo") < ranks.index(RANDOM)  # beaten after a few hundred steps
    written = json.loads((finished / "scores.json").read_text())
    assert set(written["scores"]["Hakisa/Press-v0"]) == {"ppo", "dqn", RANDOM}


def test_a_result_holds_both_budgets_both_evaluations_and_what_made_it(finished):
    found = result(finished, "ppo-Hakisa-Press-v0-1")
    assert 600 <= found["steps"] < 600 + 8 * 128  # whole rollouts
    assert found["ended_by"] == "steps"
    assert found["seconds"] > 0
    assert [len(found["final"][way]["returns"]) for way in ("deterministic", "stochastic")] == [4, 4]
    assert found["curve"][0]["step"] == 0
    assert found["curve"][-1]["step"] == found["steps"]
    seconds = [point["seconds"] for point in found["curve"]]
    assert seconds == sorted(seconds)
    assert found["config"]["total_steps"] == 600
    assert found["system"]["python"]


def test_all_algorithms_are_measured_on_the_same_episodes():
    seeds = {jobs._seed(Job(name, "CartPole-v1", 3, Protocol()), jobs._DETERMINISTIC) for name in ("ppo", "dqn")}
    assert len(seeds) == 1
    others = [jobs._seed(Job("ppo", "CartPole-v1", seed, Protocol()), use) for seed in (1, 2) for use in range(4)]
    assert len(set(others)) == 8


def test_more_algorithms_and_seeds_may_come_later(finished, capsys):
    capsys.readouterr()
    assert compare(finished, "--algorithms", "ppo", "a2c", "--steps", "600") == 0
    said = capsys.readouterr().out
    assert "3 runs, 1 to do" in said
    assert "dqn" not in (finished / "table.txt").read_text()


def test_a_comparison_of_an_older_version_says_in_a_line_why_it_cannot_go_on(finished, tmp_path, capsys):
    old = json.loads((finished / "comparison.json").read_text())
    del old["protocol"]["evaluate_steps"]
    (tmp_path / "comparison.json").write_text(json.dumps(old))
    assert compare(tmp_path, "--algorithms", "ppo", "--steps", "600") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "evaluate_steps 'not there' -> None" in line
    assert "choose another --out" in line


def test_another_budget_in_the_same_folder_is_refused(finished, capsys):
    assert compare(finished, "--algorithms", "ppo", "--steps", "700") == 2
    assert "steps 600 -> 700" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x")
    assert compare(tmp_path, "--algorithms", "ppo") == 2
    assert "is no comparison" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_minutes_end_a_run_by_its_own_clock(tmp_path, capsys):
    assert compare(tmp_path / "c", "--algorithms", "ppo", "--steps", "100000000", "--minutes", "0.01") == 0
    found = result(tmp_path / "c", "ppo-Hakisa-Press-v0-1")
    assert 0.6 <= found["seconds"] < 20
    assert 0 < found["steps"] < 100_000_000
    assert found["ended_by"] == "minutes"
    assert "1 of 1" in capsys.readouterr().out  # the one run that is trained
    report = (tmp_path / "c" / "report.html").read_text()
    assert "training ends with the first update after 0.01 minutes" in report
    assert "100,000,000 env steps per run" in report
    assert "<td>1 of 1</td>" in report
    assert found["curve"][-1]["step"] == found["steps"]


class Failing(CountingEnv):
    """It fails in training, not when it is looked at before."""

    def step(self, action):
        if self.count == 3:
            raise OSError("disc full")
        return super().step(action)


def test_a_failure_is_told_and_the_rest_goes_on(tmp_path, capsys):
    gym.register("Own/Failing-v0", Failing, kwargs={"longest": 20})
    out = tmp_path / "c"
    try:
        envs = ("--envs", "Own/Failing-v0", "Hakisa/Press-v0")
        assert compare(out, "--algorithms", "ppo", "--steps", "200", *envs) == 1
    finally:
        del gym.registry["Own/Failing-v0"]
    assert "ppo on Own/Failing-v0, seed 1: OSError: disc full" in capsys.readouterr().out
    table = (out / "table.txt").read_text()
    assert "ppo on Own/Failing-v0, seed 1: OSError: disc full" in table
    assert "Hakisa/Press-v0 (return)" in table
    assert "disc full" in (out / "report.html").read_text()
    assert "Traceback" in (out / "jobs" / "ppo-Own-Failing-v0-1" / "error.txt").read_text()


def test_the_genetic_algorithm_finishes_what_it_began_and_the_table_says_what_it_took(tmp_path):
    assert compare(tmp_path / "c", "--algorithms", "ga", "--steps", "3000") == 0
    found = result(tmp_path / "c", "ga-Hakisa-Press-v0-1")
    assert found["steps"] >= 3_000
    before, after = found["curve"][0]["returns"], found["final"]["deterministic"]["returns"]
    assert sum(after) / len(after) > sum(before) / len(before)
    row = next(line for line in (tmp_path / "c" / "table.txt").read_text().splitlines() if line.startswith("  ga"))
    assert row.split()[2] == f"{found['steps']:,}"


def test_whatever_lies_in_the_folder_of_a_run_does_not_end_the_comparison(tmp_path):
    stray = tmp_path / "c" / "jobs" / "dqn-Hakisa-Press-v0-1" / "stray"
    linked = tmp_path / "linked"
    for folder in (stray, linked):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (stray.parent / "link").symlink_to(linked)
    jobs.run_job(Job("dqn", "Hakisa/Press-v0", 1, Protocol(steps=100, final_episodes=4, film_steps=0)), stray.parent)
    assert [path.name for path in stray.parent.iterdir()] == ["result.json"]
    assert (linked / "file").exists()


def test_as_many_episodes_are_played_as_were_asked_for(tmp_path):
    assert compare(tmp_path / "c", "--algorithms", "ppo", "--steps", "100", "--final-episodes", "33") == 0
    final = result(tmp_path / "c", "ppo-Hakisa-Press-v0-1")["final"]
    assert [len(final[way]["returns"]) for way in ("deterministic", "stochastic")] == [33, 33]
    assert "33 episodes per final evaluation" in (tmp_path / "c" / "report.html").read_text()


class Contest(Endless):
    """Somebody's game against two opponents: won against "weak" after 20 steps, endless against "strong"."""

    metadata = {"render_modes": [], "hakisa_contract": 1}  # noqa: RUF012

    def step(self, action):
        observation, reward, *_ = super().step(action)
        over = self.count == 20 and self.opponent == "weak"
        return observation, reward, over, False, {"outcome": "win", "opponent": self.opponent} if over else {}


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "ga"])
def test_every_job_ends_and_tells_cut_episodes_and_outcomes(algorithm, tmp_path, capsys):
    gym.register("Own/Contest-v0", Contest)
    out = tmp_path / "c"
    own = {"ga": ("--set", "ga.steps_per_individual=20", "ga.population=8")}.get(algorithm, ())
    try:
        more = ("--envs", "Own/Contest-v0", "--evaluate-steps", "50", "--steps", "1000", *own)
        assert compare(out, "--algorithms", algorithm, *more) == 0
    finally:
        del gym.registry["Own/Contest-v0"]
    final = result(out, f"{algorithm}-Own-Contest-v0-1")["final"]["deterministic"]
    cut = [length == 50 for length in final["lengths"]]
    assert final["cut"] == cut
    assert final["outcomes"] == [None if late else "win" for late in cut]
    table = (out / "table.txt").read_text()
    assert "Own/Contest-v0, deterministic: how games ended" in table
    assert f"final episodes of {algorithm} on Own/Contest-v0 were cut after 50 steps" in table
    row = next(line.split() for line in table.splitlines() if f"{algorithm} " in line and "against weak" in line)
    assert (row[3], row[4]) == (
        str(len({t for t, late in zip(final["trajectories"], cut, strict=True) if not late})),
        "1.00",
    )
    report = (out / "report.html").read_text()
    assert "against weak" in report
    assert "were cut after 50 steps" in report
    rates = json.loads((out / "scores.json").read_text())["outcomes"]
    assert {(found["algorithm"], found["among"]) for found in rates} >= {(algorithm, "all"), ("random", "against weak")}


def test_envs_may_have_budgets_of_their_own(tmp_path):
    envs = ("--envs", "Hakisa/Press-v0", "CartPole-v1", "--steps-on", "CartPole-v1=400")
    assert compare(tmp_path / "c", "--algorithms", "dqn", "--steps", "300", *envs) == 0
    found = {env: result(tmp_path / "c", f"dqn-{env}-1") for env in ("Hakisa-Press-v0", "CartPole-v1")}
    assert {env: one["config"]["total_steps"] for env, one in found.items()} == {
        "Hakisa-Press-v0": 300,
        "CartPole-v1": 400,
    }
    report = (tmp_path / "c" / "report.html").read_text()
    assert "300 on Hakisa/Press-v0 and 400 on CartPole-v1 env steps per run" in report


def test_a_video_that_cannot_be_drawn_is_told_with_the_line_that_helps(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)  # as if it were not installed
    more = ("--envs", "CartPole-v1", "--film-steps", "5")
    assert compare(tmp_path / "c", "--algorithms", "dqn", "--steps", "100", *more) == 0
    reason = 'pygame is not installed (pip install "hakisa[video]")'
    assert result(tmp_path / "c", "dqn-CartPole-v1-1")["video"] == {"missing": reason}
    assert f"2 runs have no video: {reason}" in capsys.readouterr().out
    assert (tmp_path / "c" / "report.html").read_text().count(html.escape(reason)) == 3  # in all, and of each


def test_changed_hyperparameters_reach_the_run(tmp_path):
    assert compare(tmp_path / "c", "--algorithms", "ppo", "--steps", "100", "--set", "ppo.num_envs=2") == 0
    assert result(tmp_path / "c", "ppo-Hakisa-Press-v0-1")["config"]["num_envs"] == 2


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--algorithms", "pppo"], "algorithm 'pppo' is unknown. Did you mean 'ppo'?"),
        (["--algorithms", "ppo", "sb3-ppp"], "algorithm 'sb3-ppp' is unknown. Did you mean 'sb3-ppo'?"),
        (["--algorithms", "ppo", "--steps", "0"], "steps=0 must be greater than 0"),
        (["--algorithms", "ppo", "--steps-on", "Hakisa/Press-v0=0"], "steps=0 must be greater than 0"),
        (
            ["--algorithms", "ppo", "--steps-on", "Hakisa/Pres-v0=9"],
            "names none of the envs. Did you mean 'Hakisa/Press",
        ),
        (["--algorithms", "ppo", "--evaluate-steps", "0"], "evaluate_steps=0 must be greater than 0, or None"),
        (["--algorithms", "ppo", "--film-steps", "-1"], "film_steps=-1 must not be negative"),
        (
            ["--algorithms", "ppo", "dqn", "--set", "dqn.gama=1"],
            "DQNConfig has no option 'gama'. Did you mean 'gamma'?",
        ),
        (["--algorithms", "ppo", "--set", "ppo.gamma=2"], "gamma=2 must lie in 0..1"),
        (["--algorithms", "ppo", "--envs", "CartPol-v1"], "env id 'CartPol-v1' is not registered"),
        (["--algorithms", "ppo", "--envs", "Pendulum-v1"], "action space Box"),
        (["--algorithms", "ppo", "--envs", "Blackjack-v1"], "observation space Tuple"),
        (["--algorithms", "dqn", "--set", "dqn.network=natur"], "unknown network 'natur'. Did you mean 'nature'?"),
        (["--algorithms", "ga", "--set", "ga.activation=tahn"], "unknown activation 'tahn'. Did you mean 'tanh'?"),
        (["--algorithms", "ppo", "--set", "ppo.precision=fp61"], "precision='fp61' is unknown"),
        (
            ["--algorithms", "sb3-ppo", "--set", "sb3-ppo.n_step=9"],
            "PPO has no argument 'n_step'. Did you mean 'n_steps'",
        ),
        (["--algorithms", "ppo", "--env-options", "wrong_cots=7"], "Hakisa/Press-v0 does not take the options"),
        (["--algorithms", "ppo", "--minutes", "0"], "minutes=0.0 must be greater than 0"),
        (["--algorithms", "ppo", "--set", "dqn.gamma=1"], "--set dqn.gamma names no hyperparameter of ppo"),
        (["--algorithms", "ppo", "--workers", "-1"], "--workers -1 is not allowed"),
        (["--algorithms", "ppo", "--seeds", "0"], "1 algorithms, 1 envs, 0 seeds"),
    ],
)
def test_what_cannot_be_is_said_in_words(tmp_path, arguments, wording, capsys):
    assert compare(tmp_path / "c", *arguments) == 2
    assert wording in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_presets_name_what_there_is():
    for preset in PRESETS.values():
        envs = tuple(env for env in preset.envs if env != "LunarLander-v3" or importlib.util.find_spec("Box2D"))
        check_plan(Plan(preset.algorithms, envs, (1,), preset.protocol))
        assert len(set(preset.envs)) == len(preset.envs)


def test_first_seeds_come_first():
    plan = Plan(("ppo", "dqn"), ("CartPole-v1",), (1, 2), Protocol())
    assert [(job.algorithm, job.seed) for job in plan.jobs] == [("ppo", 1), ("dqn", 1), ("ppo", 2), ("dqn", 2)]
