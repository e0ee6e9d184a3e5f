"""The words of the errors: the exact install line, and near misses."""

import sys

import pytest

from hakisa_algos.errors import ConfigError, MissingExtraError, did_you_mean, require


def test_a_missing_extra_is_the_exact_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "tensorboard.compat", raising=False)  # another test may have imported it
    with pytest.raises(MissingExtraError) as error:
        require("tensorboard.compat", "tensorboard")
    assert str(error.value) == 'pip install "hakisa[tensorboard]"'
    assert isinstance(error.value, ImportError)
    assert error.value.name == "tensorboard"


def test_a_module_that_is_there_is_handed_over():
    import json.decoder

    assert require("json.decoder", "none") is json.decoder


def test_a_broken_package_says_what_it_says_itself(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import no_such_dependency_of_it")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency_of_it") as error:
        require("broken_package", "x")
    assert not isinstance(error.value, MissingExtraError)


@pytest.mark.parametrize(
    ("name", "says"),
    [("pop", " Did you mean 'ppo'?"), ("PPO", " Did you mean 'ppo'?"), ("zzz", " Choices: 'dqn', 'ppo'.")],
)
def test_did_you_mean(name, says):
    assert did_you_mean(name, ["ppo", "dqn"]) == says


def test_did_you_mean_with_nothing_to_choose_from():
    assert did_you_mean("x", []) == ""
    assert issubclass(ConfigError, ValueError)
