"""``hakisa train``: options, defaults, files, errors."""

import dataclasses
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hakisa_algos import A2CConfig, PPOConfig, REINFORCEConfig
from hakisa_algos.cli import options
from hakisa_algos.cli.main import main
from hakisa_algos.cli.options import key_values
from hakisa_algos.cli.presets import preset_env
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.options import RunOptions
from tests.helpers.processes import wait_until

TINY = ("--env", "CartPole-v1", "--total-steps", "64", "--config.num-envs", "2", "--config.n-steps", "16")
PIXELS = ("--env", "Hakisa/Press-v0", "--env-options", "observation=pixels", "episode_length=4")
# One torch thread: on cores that other tests use too, two wait for each other.
ALONE = ("--threads", "1")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config_of(run):
    return json.loads((Path(run) / "config.json").read_text())


def refused(capsys, *arguments):
    assert main(["train", *arguments]) == 2
    return capsys.readouterr().err


def ended(capsys, *arguments):
    """What tyro says before it ends the process."""
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments])
    said = capsys.readouterr()
    return end.value.code, " ".join((said.out + said.err).replace("│", " ").split())


def test_a_run_leaves_its_folder_and_says_what_next(capsys):
    assert main(["train", "ppo", *TINY, "--seed", "3"]) == 0
    said = capsys.readouterr().out
    run = Path("runs/ppo-CartPole-v1-3")
    assert f"hakisa eval {run}" in said
    assert f"hakisa resume {run}" in said
    assert (run / "checkpoints" / "latest").read_text() == "step_000000064\n"
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 64
    config = config_of(run)
    assert (config["algorithm"], config["env"], config["seed"]) == ("ppo", "CartPole-v1", 3)
    assert config["config"]["total_steps"] == 64
    assert config["options"] == dataclasses.asdict(RunOptions()) | {"info_keys": []}


def test_system_json_says_how_many_threads_it_trained_with():
    for threads in (1, 2):
        assert main(["train", "ppo", *TINY, "--threads", str(threads), "--run", f"r{threads}"]) == 0
        assert json.loads(Path(f"r{threads}/system.json").read_text())["threads"] == threads


def test_a_second_run_gets_a_number():
    assert main(["train", "ppo", *TINY]) == 0
    assert main(["train", "ppo", *TINY]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["ppo-CartPole-v1-0", "ppo-CartPole-v1-0-2"]


def test_a_named_folder_that_exists_is_refused_and_left_alone(capsys):
    assert main(["train", "ppo", *TINY, "--run", "mine"]) == 0
    before = sorted(Path("mine").rglob("*"))
    error = refused(capsys, "ppo", *TINY, "--run", "mine")
    assert "hakisa resume mine" in error
    assert sorted(Path("mine").rglob("*")) == before


@pytest.mark.parametrize(
    ("algorithm", "config_class"), [("ppo", PPOConfig), ("a2c", A2CConfig), ("reinforce", REINFORCEConfig)]
)
def test_help_shows_every_hyperparameter_with_its_words(algorithm, config_class, capsys):
    code, said = ended(capsys, algorithm, "--help")
    assert code == 0
    for field in dataclasses.fields(config_class):
        assert f"--config.{field.name.replace('_', '-')}" in said
    assert "Larger explores longer." in said
    for field in dataclasses.fields(RunOptions):
        assert f"--{field.name.replace('_', '-')}" in said


def test_help_without_an_algorithm_lists_them(capsys):
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    for name in ("ppo", "a2c", "reinforce"):
        assert f"hakisa train {name}" in said


def test_defaults_are_those_for_what_the_env_shows():
    assert (
        main(["train", "ppo", *PIXELS, *ALONE, "--total-steps", "1", "--config.n-steps", "1", "--run", "pixels"]) == 0
    )
    assert main(["train", "ppo", *TINY, "--run", "vectors"]) == 0
    pixels, vectors = config_of("pixels"), config_of("vectors")
    from hakisa_algos.data.vectorize import make_envs

    space = make_envs("Hakisa/Press-v0", 1, {"observation": "pixels"}).single_observation_space
    recommended = dataclasses.replace(PPOLearner.default_config(space), action_masks=False)  # there are none
    assert recommended != PPOConfig()
    for name, value in dataclasses.asdict(recommended).items():
        if name not in ("n_steps", "total_steps"):
            assert pixels["config"][name] == (list(value) if isinstance(value, tuple) else value), name
    assert pixels["config"]["n_steps"] == 1
    assert pixels["env_options"] == {"observation": "pixels", "episode_length": 4}
    assert vectors["config"]["learning_rate"] == PPOConfig().learning_rate


GA = ("ga", "--env", "CartPole-v1", "--config.num-envs", "2", "--config.population", "6", "--total-steps")


def test_a_genetic_algorithm_is_trained_stopped_and_resumed(capsys):
    assert main(["train", *GA, "4000", "--eval-every", "100", "--eval-episodes", "2", "--run", "ga"]) == 0
    done = re.search(r"Done: ([\d,]+) steps", capsys.readouterr().out)
    assert int(done[1].replace(",", "")) >= 4000  # a generation that was begun is finished
    rows = [json.loads(line) for line in Path("ga/metrics.jsonl").read_text().splitlines()]
    assert {"train/fitness_max", "train/fitness_mean", "train/diversity"} <= set(rows[0])
    assert any("eval/mean_reward" in row for row in rows)
    assert main(["resume", "ga", "--total-steps", "9000"]) == 0
    longer = [json.loads(line) for line in Path("ga/metrics.jsonl").read_text().splitlines()]
    assert longer[: len(rows)] == rows
    assert longer[-1]["step"] >= 9000


def test_a_preset_is_where_the_settings_start_from(capsys):
    assert main(["train", *GA, "12000", "--preset", "hakisa", "--config.parents", "3", "--config.survivors", "2"]) == 0
    config = config_of("runs/ga-CartPole-v1-0")["config"]
    assert (config["steps_per_individual"], config["population"], config["parents"]) == (1000, 6, 3)
    assert "preset 'hakiso'" in (said := refused(capsys, *GA, "9", "--preset", "hakiso"))
    assert "Did you mean 'hakisa'?" in said
    assert "preset 'small'" in refused(capsys, "ppo", *TINY, "--preset", "small")
    assert "preset 'hakisa'" in refused(capsys, "a2c", *TINY, "--preset", "hakisa")
    code, said = ended(capsys, "ga", "--preset", "uber", "--help")
    assert code == 0
    assert "the preset uber" in said
    assert "(default: 1000)" in said


@pytest.mark.parametrize(
    ("algorithm", "told"), [("ppo", {"n_steps": 1000, "target_kl": 0.05}), ("dqn", {"double": False})]
)
def test_the_presets_of_hakisas_experiments_run_at_their_size(algorithm, told):
    assert main(["train", algorithm, "--env", "CartPole-v1", "--preset", "hakisa", "--run", "run"]) == 0
    config = config_of("run")["config"]
    assert {name: config[name] for name in told} == told
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 1000


def test_help_shows_the_defaults_of_the_env(capsys):
    _, plain = ended(capsys, "ppo", "--help")
    _, pixels = ended(capsys, "ppo", *PIXELS, "--help")
    assert "(default: 0.001)" in plain
    assert "(default: 0.0005)" in pixels


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["pppo", *TINY], "'pppo' is unknown. Did you mean 'ppo'?"),
        (["--env", "CartPole-v1"], "the algorithm comes first"),
        (["ppo", "--env", "CartPol-v1"], "Did you mean 'CartPole-v1'?"),
        (["ppo", *PIXELS, "episode_lenght=3"], "did you mean 'episode_length'?"),
        (["ppo", "--env", "Hakisa/Press-v0", "--env-options", "num_keys=99"], "num_keys=99 is not allowed"),
        (["ppo", *TINY, "--env-options", "frame_size"], "must be key=value"),
        (["ppo", *TINY, "--checkpoint-every", "-1"], "checkpoint_every=-1 must not be negative"),
        (["ppo", *TINY, "--evaluate-steps", "0"], "evaluate_steps=0 must be greater than 0, or None"),
        (["ppo"], "--env is missing: hakisa train ppo --env CartPole-v1"),
        (["ppo", *TINY, "--seed", "-1"], "seed=-1 must be a whole number from 0"),
        (["ppo", *TINY, "--device", "cuda:99"], "device='cuda:99' is not to be had here"),
        (["ppo", *TINY, "--device", "tpu9"], "device='tpu9' is unknown"),
        (["ppo", *TINY, "--total-steps", "-5"], "total_steps=-5 must be greater than 0"),
    ],
)
def test_mistakes_are_named_with_the_fix(arguments, wording, capsys):
    assert wording in refused(capsys, *arguments)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--config.learning-rat", "1"], "--config.learning-rate"),
        (["--evaluat-every", "1"], "--evaluate-every"),
        (["--config.gamma", "3"], "gamma=3.0 must lie in 0..1"),
        (["--collapse", "wran"], "'warn'"),
        (["--seed", "x"], "--seed"),
    ],
)
def test_mistakes_in_options_are_named_with_the_fix(arguments, wording, capsys):
    code, said = ended(capsys, "ppo", *TINY, *arguments)
    assert code == 2
    assert wording in said


def test_no_option_is_read_by_two_parsers(monkeypatch):
    read = []

    def watched(kind, args, **more):
        read.extend(argument for argument in args if argument.startswith("--"))
        return cli(kind, args=args, **more)

    cli = options.tyro.cli
    monkeypatch.setattr(options.tyro, "cli", watched)
    given = [*PIXELS, "--total-steps", "1", "--run", "r", *ALONE]
    mixed = ["--config.n-steps", "1", *given, "--config.hidden_sizes", "4", "5", "--config.no-baseline", "--seed", "2"]
    assert main(["train", "ppo", *mixed]) == 0
    assert sorted(read) == sorted(argument for argument in mixed if argument.startswith("--"))
    config = config_of("r")
    assert (config["config"]["hidden_sizes"], config["config"]["baseline"], config["seed"]) == ([4, 5], False, 2)
    assert config["env_options"] == {"observation": "pixels", "episode_length": 4}


@pytest.mark.parametrize("eval_every", [("--eval-every", "32"), ("--eval_every=32",), ("--evaluate-every", "32")])
def test_options_go_by_their_former_names_too(eval_every):
    assert main(["train", "ppo", *TINY, *eval_every, "--eval-episodes", "2", "--run", "r"]) == 0
    assert (config_of("r")["options"]["evaluate_every"], config_of("r")["options"]["evaluate_episodes"]) == (32, 2)


def test_values_of_pairs():
    pairs = ["a=3", "b=0.5", "c=text", "d=true", "e=False", "f=[1, 2]", "g=", "h=x=y", "i=null", "j=NaN"]
    assert key_values(pairs) == {
        "a": 3, "b": 0.5, "c": "text", "d": True, "e": False, "f": [1, 2], "g": "", "h": "x=y", "i": None, "j": "NaN",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="twice"):
        key_values(["a=1", "a=2"])


def test_evaluations_mark_the_best_checkpoint():
    assert main(["train", "ppo", *TINY, "--eval-every", "32", "--eval-episodes", "2", "--run", "r"]) == 0
    assert "eval/mean_reward" in Path("r/metrics.jsonl").read_text()
    assert Path("r/checkpoints/best").is_file()


@pytest.mark.filterwarnings("default")  # wandb's own
def test_tensorboard_and_wandb_write_when_asked(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["train", "ppo", *TINY, "--run", "r", "--tensorboard", "--wandb", "offline"]) == 0
    assert list(Path("r/tensorboard").glob("events.*"))
    assert list(Path("r/wandb").glob("offline-run-*"))


@pytest.mark.parametrize(("package", "asked"), [("tensorboard", ["--tensorboard"]), ("wandb", ["--wandb", "offline"])])
def test_a_missing_sink_is_found_before_a_folder_is_made(package, asked, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert f'pip install "hakisa[{package}]"' in refused(capsys, "ppo", *TINY, *asked)
    assert not Path("runs").exists()


def test_sigint_saves_and_says_how_to_go_on(monkeypatch, capsys):
    update = ConsoleView.update

    def interrupt(view, step, metrics):
        update(view, step, metrics)
        if step == 32:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ConsoleView, "update", interrupt)
    assert main(["train", "ppo", *TINY, "--run", "r"]) == 130
    said = capsys.readouterr().out
    assert "Stopped by SIGINT at step 32 of 64" in said
    assert "hakisa resume r" in said
    assert Path("r/checkpoints/latest").read_text() == "step_000000032\n"


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("verb", ["train", "resume"])
def test_the_exit_status_names_the_signal(verb, name, status, monkeypatch, capsys):
    if verb == "resume":
        assert main(["train", "ppo", *TINY, "--run", "r"]) == 0
    monkeypatch.setattr(ConsoleView, "update", lambda view, step, metrics: signal.raise_signal(signal.Signals[name]))
    arguments = ["r", "--total-steps", "9999"] if verb == "resume" else ["ppo", *TINY, "--run", "r"]
    assert main([verb, *arguments]) == status
    assert f"Stopped by {name}" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_before_the_training_has_begun_is_no_traceback(name, status, monkeypatch, capsys):
    monkeypatch.setattr("hakisa_algos.cli.train.Agent", lambda *a, **k: signal.raise_signal(signal.Signals[name]))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert main(["train", "ppo", *TINY]) == status
    assert capsys.readouterr().err == "\ninterrupted\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_run_whose_terminal_is_closed_is_saved(tmp_path):
    """As a terminal emulator does it: the terminal is gone, and whatever is written there fails."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "hakisa_algos", "train", "ppo", *TINY, "--total-steps", "100000000", "--run", "r"]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        metrics = Path("r/metrics.jsonl")
        wait_until(lambda: os.read(ours, 100_000) and metrics.exists() and metrics.stat().st_size, timeout=600)
        os.close(ours)
        child.send_signal(signal.SIGHUP)
        assert child.wait(60) == 129
    finally:
        child.kill()
        child.wait()
    last = json.loads(Path("r/metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert Path("r/checkpoints/latest").read_text() == f"step_{last:09d}\n"


def test_printed_commands_can_be_pasted(capsys):
    assert main(["train", "ppo", *TINY, "--run", "my runs/one & two"]) == 0
    said = capsys.readouterr().out
    for verb in ("eval", "resume"):
        line = next(line for line in said.splitlines() if f"hakisa {verb}" in line)
        assert shlex.split(line)[2:5] == ["hakisa", verb, "my runs/one & two"]
    assert "hakisa resume 'my runs/one & two'" in refused(capsys, "ppo", *TINY, "--run", "my runs/one & two")


def test_a_run_without_an_ended_episode_says_so(capsys):
    assert main(["train", "ppo", *TINY[:2], "--total-steps", "2", "--config.n-steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "no episode has ended yet" in said
    assert "nan" not in said


def test_a_run_that_went_beyond_its_total_is_continued_beyond_that(capsys):
    assert main(["train", *GA, "1", "--config.steps-per-individual", "100"]) == 0
    said = capsys.readouterr().out
    steps = int(re.search(r"Done: ([\d,]+) steps", said)[1].replace(",", ""))
    assert steps > 2
    assert f"--total-steps {2 * steps}" in said


def test_workers_without_tasks_are_told_what_to_set(capsys):
    code, said = ended(capsys, *GA, "1", "--config.workers", "2")
    assert code == 2
    assert "workers=2 must be at most tasks, which is 1; set tasks=2 too" in said


def test_an_installed_packages_algorithm_is_found(tmp_path):
    """As pip would leave it: a module, and the metadata with its entry point."""
    site = tmp_path / "site"
    metadata = site / "patient-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: patient\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[hakisa.algorithms]\npatient = patient:Patient\n")
    (site / "patient.py").write_text(
        "from dataclasses import dataclass\n"
        "from hakisa_algos.learners.ppo import PPOLearner, PPOConfig\n"
        "@dataclass(frozen=True)\n"
        "class PatientConfig(PPOConfig):\n"
        '    patience: int = 7\n    """How long it waits."""\n'
        "class Patient(PPOLearner):\n    config_class = PatientConfig\n"
    )
    command = [sys.executable, "-W", "error", "-m", "hakisa_algos", "train", "patient", *TINY, "--config.patience", "9"]
    path = os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert config_of("runs/patient-CartPole-v1-0")["config"]["patience"] == 9


@pytest.mark.parametrize(
    ("arguments", "env", "options"),
    [
        (["--preset", "monsters"], "Hakisa/Monsters-v0", {"reward": "ours", "visited_map": True, "goal": 2}),
        (["--preset", "emerald-baseline"], "Hakisa/PokemonEmerald-v0", {"reward": "dvruette", "sticky": 0.1}),
        (["--preset", "emerald-baseline", "--env", "Hakisa/Monsters-v0"], "Hakisa/Monsters-v0", {"reward": "dvruette"}),
        (["--preset", "monsters", "--env-options", "goal=1"], "Hakisa/Monsters-v0", {"goal": 1, "reward": "ours"}),
        (["--preset", "fighter"], "Hakisa/Fighter-v0", {"frame_skip": 12, "frame_size": 64}),
        (["--preset", "fighter", "--env-options", "frame_skip=8"], "Hakisa/Fighter-v0", {"frame_skip": 8}),
        (["--preset", "monsters", "--env", "Hakisa/Fighter-v0"], "Hakisa/Fighter-v0", {}),
        (["--preset", "monsters", "--env", "CartPole-v1"], "CartPole-v1", {}),
        (["--preset", "hakisa", "--env", "CartPole-v1"], "CartPole-v1", {}),
    ],
)
def test_a_preset_of_a_game_brings_it_and_its_options_unless_others_are_given(arguments, env, options):
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    chosen, found = preset_env(
        given["--preset"], given.get("--env", ""), key_values(given.get("--env-options", "").split())
    )
    assert chosen == env
    assert {name: found[name] for name in options} == options
    assert options or not found
