"""What goes wrong at the shell for whoever comes here first is one line that helps, and leaves nothing in the way."""

import subprocess
import sys

import pytest

from hakisa_algos.cli.main import main

TINY = ["--total-steps", "16", "--config.num-envs", "2", "--config.n-steps", "8", "--config.minibatch-size", "8"]


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_an_env_of_choices_is_trained_in(capsys):
    assert main(["train", "ppo", "--env", "FrozenLake-v1", "--run", "a run", *TINY]) == 0
    told = capsys.readouterr().out
    assert "hakisa eval 'a run'" in told
    assert "hakisa resume 'a run' --total-steps" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "Blackjack-v1"], "for the command line register the wrapped env in a module of yours"),
        (["--env", "nomodule:Id"], "env id 'nomodule:Id': the module 'nomodule' cannot be imported"),
        (["--env", "MlpPolicy"], "'MlpPolicy' is not registered"),
        (["--env", "CartPole-v1", "--run", "file/run"], "file/run cannot be made (Not a directory)"),
        (["--env", "CartPole-v1", "--run", "file"], "file exists and is not empty"),
        (["--env", "CartPole-v1", "--run", "x" * 300], "cannot be made (File name too long)"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, message, tmp_path, capsys):
    (tmp_path / "file").write_text("here")
    assert main(["train", "ppo", *arguments, *TINY]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_comparison_below_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("here")
    assert main(["compare", "--algorithms", "ppo", "--envs", "CartPole-v1", "--out", "file/c"]) == 2
    assert "file/c cannot be made (Not a directory); choose another --out" in capsys.readouterr().err


def test_wandb_online_without_a_key_says_so_and_is_not_in_its_own_way(tmp_path, monkeypatch, capsys):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for _ in range(2):
        assert main(["train", "ppo", "--env", "CartPole-v1", "--run", "run", "--wandb", "online", *TINY]) == 2
        assert "no key is configured): run wandb login, or set WANDB_API_KEY" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_who_reads_a_part_of_it_ends_it_without_a_word(arguments):
    command = [sys.executable, "-m", "hakisa_algos", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()  # as head does when it has enough
        assert child.stderr.read() == b""
    assert child.returncode == 141
