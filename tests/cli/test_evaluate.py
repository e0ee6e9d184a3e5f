"""``hakisa eval``: figures on the console and in the run's folder, a video, the best checkpoint."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from hakisa_algos.agent import PPO
from hakisa_algos.cli.main import main
from hakisa_algos.film import film
from hakisa_algos.training.video import VideoWriter
from tests.comparison.endless import wait_for
from tests.comparison.test_compare import Contest
from tests.helpers.counting import CountingEnv
from tests.helpers.processes import wait_until


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("eval") / "run"
    shape = ("--config.num-envs", "2", "--config.n-steps", "16", "--eval-every", "32", "--eval-episodes", "2")
    arguments = ("--total-steps", "64", "--checkpoint-every", "1000", "--run", str(path))
    assert main(["train", "ppo", "--env", "Hakisa/Press-v0", *shape, *arguments]) == 0
    return path


def test_prints_and_writes_both_ways_to_play(run, capsys):
    assert main(["eval", str(run), "--episodes", "4", "--seed", "5"]) == 0
    said = capsys.readouterr().out
    written = json.loads((run / "evaluations" / "step_000000064-seed_5.json").read_text())
    assert (written["step"], written["seed"], written["env"]) == (64, 5, "Hakisa/Press-v0")
    for name in ("deterministic", "stochastic"):
        figures = written[name]
        assert len(figures["returns"]) == len(figures["lengths"]) == 4
        assert f"{figures['mean']:.2f} +/- {figures['std']:.2f} over 4 episodes" in said
        assert figures["lengths"] == [32] * 4


def test_the_same_seed_gives_the_same_figures(run, capsys):
    outputs = []
    for _ in range(2):
        assert main(["eval", str(run), "--episodes", "2"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_only_deterministic(run, capsys):
    assert main(["eval", str(run), "--episodes", "2", "--no-stochastic"]) == 0
    assert "stochastic" not in capsys.readouterr().out


def test_best_is_the_checkpoint_that_evaluations_chose(run, capsys):
    assert main(["eval", str(run), "--episodes", "2", "--best"]) == 0
    step = int((run / "checkpoints" / "best").read_text().strip().removeprefix("step_"))
    assert f"step {step:,}" in capsys.readouterr().out


def test_best_without_evaluations_says_so(run, tmp_path, capsys):
    arguments = ("--total-steps", "1", "--config.n-steps", "1", "--run", str(tmp_path / "r"))
    assert main(["train", "ppo", "--env", "Hakisa/Press-v0", *arguments]) == 0
    assert main(["eval", str(tmp_path / "r"), "--best"]) == 2
    assert "--evaluate-every" in capsys.readouterr().err


def test_video_is_an_mp4(run, tmp_path, capsys):
    video = tmp_path / "out.mp4"
    assert main(["eval", str(run), "--episodes", "2", "--video", str(video)]) == 0
    assert video.read_bytes()[4:8] == b"ftyp"
    assert str(video) in capsys.readouterr().out


def test_other_env_options(run, capsys):
    assert main(["eval", str(run), "--episodes", "2", "--env-options", "episode_length=8"]) == 0
    written = json.loads(Path(capsys.readouterr().out.splitlines()[-1].split()[-1]).read_text())
    assert written["deterministic"]["lengths"] == [8, 8]
    assert written["env_options"] == {"episode_length": 8}


def test_an_env_that_does_not_fit_is_refused(run, capsys):
    assert main(["eval", str(run), "--env", "CartPole-v1"]) == 2
    said = capsys.readouterr().err
    assert "this env does not fit: the agent was trained on" in said
    assert "Discrete(2)" in said


OTHER = [["--max-steps", "5"], ["--no-stochastic"], ["--episodes", "3"], ["--env-options", "episode_length=8"]]


def test_evaluations_with_other_options_are_kept_apart(run, tmp_path, capsys):
    own = tmp_path / "run"
    shutil.copytree(run, own)
    shutil.rmtree(own / "evaluations", ignore_errors=True)
    found = []
    for options in ([], *OTHER, []):
        assert main(["eval", str(own), "--episodes", "2", *options]) == 0
        found.append(Path(capsys.readouterr().out.splitlines()[-1].split()[-1]))
    assert found[0] == found[-1] == own / "evaluations" / "step_000000064-seed_0.json"
    assert len(set(found)) == 1 + len(OTHER) == len(list((own / "evaluations").iterdir()))
    assert json.loads(found[1].read_text())["options"]["max_steps"] == 5
    assert set(json.loads(found[1].read_text())["deterministic"]["lengths"]) == {5}
    found[0].write_text("{}")  # of an older version
    assert main(["eval", str(own), "--episodes", "2"]) == 0
    assert found[0].read_text() == "{}"


def test_a_video_that_no_player_would_open_is_refused_at_once(run, tmp_path, capsys):
    before = list((run / "evaluations").glob("*"))
    assert main(["eval", str(run), "--seed", "77", "--video", str(tmp_path / "film.txt")]) == 2
    assert "film.txt is an mp4: give it a name that ends in .mp4" in capsys.readouterr().err
    assert list((run / "evaluations").glob("*")) == before
    assert not list(tmp_path.iterdir())


def test_the_stored_rows_of_a_replay_are_not_needed(tmp_path, capsys):
    run = tmp_path / "run"
    shape = ("--config.num-envs", "2", "--config.learning-starts", "16", "--config.buffer-size", "64")
    assert main(["train", "dqn", "--env", "CartPole-v1", *shape, "--total-steps", "64", "--run", str(run)]) == 0
    assert list((run / "checkpoints" / "rows").iterdir())
    shutil.rmtree(run / "checkpoints" / "rows")
    assert main(["eval", str(run), "--episodes", "2"]) == 0
    config = (run / "config.json").read_bytes()
    assert main(["resume", str(run), "--total-steps", "600"]) == 2  # which does need them
    assert "is missing" in capsys.readouterr().err
    assert (run / "config.json").read_bytes() == config


def test_a_long_evaluation_says_how_far_it_is(run, monkeypatch, capsys):
    monkeypatch.setattr("hakisa_algos.training.evaluate._TELL_SECONDS", 0.0)
    assert main(["eval", str(run), "--episodes", "2", "--no-stochastic"]) == 0
    assert "  deterministic 0 of 2 episodes after 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (
            ["--env-options", "wrong_cost=7"],
            "Hakisa/Press-v0 does not take the options {'wrong_cost': 7}: wrong_cost=7",
        ),
        (["--device", "cuda:99"], "device='cuda:99' is not to be had here"),
        (["--seed", "-1"], "seed=-1 must be a whole number from 0"),
        (["--threads", "0"], "threads=0 must be greater than 0"),
    ],
)
def test_what_cannot_be_is_said_in_words(run, arguments, wording, capsys):
    assert main(["eval", str(run), *arguments]) == 2
    assert wording in capsys.readouterr().err


class Unseen(CountingEnv):
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self):
        super().__init__(3)


@pytest.mark.filterwarnings("ignore:.*render_mode")  # Gymnasium's word on it, before ours
def test_an_env_that_cannot_be_rendered_is_not_filmed(tmp_path, capsys):
    gym.register("Own/Unseen-v0", Unseen)
    try:
        arguments = ("--total-steps", "1", "--config.n-steps", "1", "--run", str(tmp_path / "r"))
        assert main(["train", "ppo", "--env", "Own/Unseen-v0", *arguments]) == 0
        assert main(["eval", str(tmp_path / "r"), "--episodes", "1", "--video", str(tmp_path / "x.mp4")]) == 2
        assert "Own/Unseen-v0 has no render mode 'rgb_array' to film" in capsys.readouterr().err
    finally:
        del gym.registry["Own/Unseen-v0"]


def test_a_run_with_an_option_of_the_vector_env_is_filmed(tmp_path, monkeypatch):
    options, path = {"num_threads": 1, "frame_size": 42}, tmp_path / "pong.mp4"
    agent = PPO("Hakisa/Pong-v0", env_options=options, threads=1)
    agent.close()
    frames = []
    add = VideoWriter.add
    monkeypatch.setattr(VideoWriter, "add", lambda video, frame: (frames.append(frame), add(video, frame)))
    made = film(agent.policy, "Hakisa/Pong-v0", options, path, max_steps=2)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert (made.lengths.tolist(), made.cut.tolist()) == ([2], [True])
    assert len(frames) == 3  # before each step and at the end, none of the next episode


@pytest.fixture
def contest():
    gym.register("Own/Contest-v0", Contest)
    yield "Own/Contest-v0"
    del gym.registry["Own/Contest-v0"]


def test_outcomes_stand_in_a_table_and_in_the_file_and_cut_episodes_are_told(contest, tmp_path, capsys):
    run = tmp_path / "r"
    assert (
        main(["train", "ppo", "--env", contest, "--total-steps", "1", "--config.n-steps", "1", "--run", str(run)]) == 0
    )
    capsys.readouterr()
    assert main(["eval", str(run), "--episodes", "8", "--max-steps", "50", "--seed", "1", "--no-stochastic"]) == 0
    said = capsys.readouterr().out
    written = json.loads(next((run / "evaluations").iterdir()).read_text())["deterministic"]
    cut = sum(written["cut"])
    assert 0 < cut < 8
    assert f"over 8 episodes, {cut} of them cut after 50 steps; 100% [" in said
    assert written["limit"] == 50
    assert [length == 50 for length in written["lengths"]] == written["cut"]
    assert written["outcomes"] == [None if late else "win" for late in written["cut"]]
    assert written["rates"]["games"] == len(set(written["trajectories"])) - len(
        {number for number, late in zip(written["trajectories"], written["cut"], strict=True) if late}
    )
    row = next(line.split() for line in said.splitlines() if "against weak" in line)
    assert row[:4] == ["against", "weak", str(written["rates"]["games"]), "1.00"]
    assert "against strong" not in said  # whose games were all cut


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_it_at_once_with_what_it_has_said(name, status, tmp_path):
    """The first evaluation is over at once, the second never."""
    run, mark = tmp_path / "r", tmp_path / "mark"
    env = "tests.comparison.endless:Endless-v0"
    train = ("--total-steps", "2", "--config.n-steps", "2", "--config.num-envs", "1", "--run", str(run))
    assert main(["train", "ppo", "--env", env, *train]) == 0
    command = [sys.executable, "-m", "hakisa_algos", "eval", str(run), "--env", env, "--episodes", "1"]
    environment = os.environ | {"HAKISA_TEST_ENDLESS": f"15 {mark}"}
    child = subprocess.Popen(
        [*command, "--max-steps", "1000000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        wait_for(mark, child)
        child.send_signal(signal.Signals[name])
        wait_until(lambda: child.poll() is not None, 20.0)
        said, errors = child.communicate()
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == status, errors
    assert "deterministic" in said
    assert "stochastic" not in said
    assert errors.strip().endswith("interrupted")
    assert not (run / "evaluations").exists()


def test_no_episodes_and_no_run(run, capsys, tmp_path):
    for option in ("--episodes", "--max-steps"):
        assert main(["eval", str(run), option, "0"]) == 2
        assert f"{option} 0 is not allowed" in capsys.readouterr().err
    assert main(["eval", str(Path(tmp_path) / "nothing")]) == 2
    assert "not a run folder" in capsys.readouterr().err
