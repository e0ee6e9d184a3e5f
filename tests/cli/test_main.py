"""The front door: help at once, verbs by name, errors in words."""

import subprocess
import sys

import pytest

from hakisa_algos.cli import doctor
from hakisa_algos.cli.main import VERBS, main
from hakisa_envs.screen.errors import InputError, ProfileError
from hakisa_envs.vector import WorkerError


def python(*arguments):
    done = subprocess.run([sys.executable, "-W", "error", *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_nothing_heavy():
    script = "import sys; from hakisa_algos.cli.main import main; main(['--help'])\n"
    script += "print({'torch', 'tyro', 'gymnasium', 'numpy'} & set(sys.modules))"
    out = python("-c", script)
    assert out.endswith("set()\n")


def test_python_m_is_the_same_and_help_names_every_verb(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert python("-m", "hakisa_algos", "--help") == said
    for verb in VERBS:
        assert f"hakisa {verb}" in said


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "train"])
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"hakisa {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(("verb", "kept"), [("train", True), ("doctor", False)])
def test_processes_that_die_too_often_are_one_line(verb, kept, monkeypatch, capsys):
    def die(arguments):
        raise WorkerError("The process of column 0 died.")

    monkeypatch.setattr(f"hakisa_algos.cli.{verb}.run", die)
    assert main([verb]) == 1
    said = capsys.readouterr().err
    assert said.startswith("hakisa: The process of column 0 died.")
    assert said.count("\n") == 1
    assert ("hakisa resume" in said) == kept


def test_help_tells_the_exit_statuses(capsys):
    main(["--help"])
    assert "Ctrl+C 130, SIGTERM 143, SIGHUP 129" in capsys.readouterr().out


def test_dir_has_what_can_be_imported():
    found = python("-c", "import hakisa_algos, sys; print(*dir(hakisa_algos)); print('torch' in sys.modules)")
    assert {"PPO", "DQN", "GA", "PPOConfig", "Agent", "register"} <= set(found.split())
    assert found.endswith("False\n")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hakisa 0.")


def test_misspelt_verb(capsys):
    assert main(["trian"]) == 2
    assert "'trian'. Did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["torch", "tyro"])
def test_missing_extra_is_the_line_to_run(package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["train", "ppo", "--env", "CartPole-v1"]) == 2
    error = capsys.readouterr().err
    assert f"this needs {package}" in error
    assert 'pip install "hakisa[algos]"' in error


def test_missing_extra_of_an_env(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    monkeypatch.setitem(sys.modules, "ale_py.vector_env", None)
    assert main(["train", "ppo", "--env", "Hakisa/Pong-v0"]) == 2
    assert 'pip install "hakisa[atari]"' in capsys.readouterr().err


@pytest.mark.parametrize("kind", [ZeroDivisionError, RuntimeError, ValueError])
def test_other_errors_keep_their_traceback(kind, monkeypatch):
    def broken(arguments):
        raise kind

    monkeypatch.setattr(doctor, "run", broken)
    with pytest.raises(kind):
        main(["doctor"])


@pytest.mark.parametrize("kind", [InputError, ProfileError])
def test_an_error_of_a_live_game_is_one_line(kind, monkeypatch, capsys):
    def broken(arguments):
        raise kind("the window is gone")

    monkeypatch.setattr(doctor, "run", broken)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "hakisa: the window is gone\n"


def test_training_on_a_game_that_there_is_not(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ppo", "--env", "Hakisa/ScreenGame-v0", "--env-options", "game=nope"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "game='nope' is unknown" in error
    assert "flash, lbreakout2" in error
    assert not list(tmp_path.iterdir())


def test_an_import_that_fails_inside_a_package_is_not_called_missing(monkeypatch):
    def broken(arguments):
        raise ImportError("libsomething.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "run", broken)
    with pytest.raises(ImportError, match="libsomething"):
        main(["doctor"])


def test_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == 130
    assert "interrupted" in capsys.readouterr().err
