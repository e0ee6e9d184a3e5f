"""``hakisa eval``: figures on the console and in the run's folder, a video, the best checkpoint."""

import json
from pathlib import Path

import gymnasium as gym
import pytest

from hakisa_algos.agent import PPO
from hakisa_algos.cli.main import main
from hakisa_algos.film import film
from tests.helpers.counting import CountingEnv


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
    assert "--eval-every" in capsys.readouterr().err


def test_video_is_an_mp4(run, tmp_path, capsys):
    video = tmp_path / "out.mp4"
    assert main(["eval", str(run), "--episodes", "2", "--video", str(video)]) == 0
    assert video.read_bytes()[4:8] == b"ftyp"
    assert str(video) in capsys.readouterr().out


def test_other_env_options(run, capsys):
    assert main(["eval", str(run), "--episodes", "2", "--env-options", "episode_length=8"]) == 0
    written = json.loads((run / "evaluations" / "step_000000064-seed_0.json").read_text())
    assert written["deterministic"]["lengths"] == [8, 8]
    assert written["env_options"] == {"episode_length": 8}


def test_an_env_that_does_not_fit_is_refused(run, capsys):
    assert main(["eval", str(run), "--env", "CartPole-v1"]) == 2
    assert "do not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (
            ["--env-options", "wrong_cost=7"],
            "Hakisa/Press-v0 does not take the options {'wrong_cost': 7}: wrong_cost=7",
        ),
        (["--device", "cuda:99"], "device='cuda:99' is not to be had here"),
        (["--seed", "-1"], "seed=-1 must be a whole number from 0"),
        (["--threads", "0"], "threads=0 must be a whole number of at least 1"),
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


def test_a_run_with_an_option_of_the_vector_env_is_filmed(tmp_path):
    agent = PPO("Hakisa/Pong-v0", env_options={"num_threads": 1, "frame_size": 42}, threads=1)
    try:
        made = film(agent, tmp_path / "pong.mp4", longest=2)
    finally:
        agent.close()
    assert made.path.read_bytes()[4:8] == b"ftyp"
    assert (made.steps, made.over) == (2, False)


def test_no_episodes_and_no_run(run, capsys, tmp_path):
    assert main(["eval", str(run), "--episodes", "0"]) == 2
    assert "--episodes 0 is not allowed" in capsys.readouterr().err
    assert main(["eval", str(Path(tmp_path) / "nothing")]) == 2
    assert "not a run folder" in capsys.readouterr().err
