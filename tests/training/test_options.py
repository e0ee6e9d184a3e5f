"""Every option of a run is checked, by the one validator that configurations and comparisons use too."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.validation import changed, check_config, check_seed, config_from
from hakisa_algos.training import options as options_module
from hakisa_algos.training.options import RunOptions

# A value of each option that is none, and what is said of it.
WRONG = {
    "evaluate_every": [(-1, "must not be negative"), (0.5, "whole number"), (True, "whole number")],
    "evaluate_episodes": [(0, "greater than 0"), ("20", "whole number")],
    "evaluate_steps": [(0, "greater than 0, or None"), (1.5, "whole number")],
    "checkpoint_every": [(-5, "must not be negative"), (None, "whole number")],
    "checkpoint_replay": [("lates", "Did you mean 'latest'"), (True, "unknown")],
    "collapse": [("wran", "Did you mean 'warn'")],
    "picture_every": [(-1, "must not be negative"), ("often", "finite number")],
    "on_exploit": [("stpo", "Did you mean 'stop'"), (True, "unknown")],
    "start_mix": [(1.5, "must lie in 0..1"), (-0.1, "must lie in 0..1"), ("half", "number")],
    "carry_on": [(1.5, "must lie in 0..1"), (-0.1, "must lie in 0..1"), ("half", "number")],
    "info_keys": [("score", "must be texts"), ((1,), "must be texts")],
    "tensorboard": [(1, "True or False"), ("yes", "True or False")],
    "wandb": [("ofline", "Did you mean 'offline'"), (False, "unknown")],
    "wandb_project": [(None, "must be text")],
    "device": [(0, "must be text")],
    "threads": [(0, "greater than 0, or None"), (True, "whole number"), (2.0, "whole number")],
}


def test_every_option_is_tried():
    assert set(WRONG) == {option.name for option in dataclasses.fields(RunOptions)}


@pytest.mark.parametrize(("name", "value", "rule"), [(name, *case) for name, cases in WRONG.items() for case in cases])
def test_what_an_option_cannot_be(name, value, rule):
    with pytest.raises(ConfigError) as error:
        RunOptions(**{name: value})
    assert str(error.value).startswith(f"{name}={value!r} ")
    assert rule in str(error.value)


def test_what_it_can_be():
    most = RunOptions(evaluate_steps=1, checkpoint_every=0, info_keys=("score",), threads=1, wandb="offline")
    assert changed(most, {"threads": None}).threads is None
    assert changed(most, {}) == most


def test_every_option_says_what_it_is():
    text = Path(options_module.__file__).read_text(encoding="utf-8")
    for option in dataclasses.fields(RunOptions):
        after = text.split(f"\n    {option.name}: ")[1].splitlines()[1].strip()
        assert after.startswith('"""'), option.name


def test_as_a_file_holds_them():
    options = RunOptions(evaluate_every=5, info_keys=("a", "b"), tensorboard=True, wandb="online", wandb_project="p")
    plain = dataclasses.asdict(options) | {"info_keys": ["a", "b"]}
    assert RunOptions.stored(plain) == options
    assert RunOptions.stored({"eval_every": 5, "eval_episodes": 3}) == RunOptions(evaluate_every=5, evaluate_episodes=3)
    assert options.unlogged() == RunOptions(evaluate_every=5, info_keys=("a", "b"))
    with pytest.raises(ConfigError, match=r"RunOptions has no option 'colapse'\. Did you mean 'collapse'"):
        RunOptions.stored({"colapse": "off"})
    with pytest.raises(ConfigError, match=r'"options" in config\.json is \[\]; it must be an object'):
        RunOptions.stored([])


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(3), np.uint8(3)])
def test_seeds(seed):
    assert check_seed(seed) == int(seed)
    assert type(check_seed(seed)) is int


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "1", None, True, False, np.float64(1)])
def test_what_is_no_seed(seed):
    with pytest.raises(ConfigError, match=r"^seed=.* must be a whole number from 0"):
        check_seed(seed)


@dataclass(frozen=True)
class Wide:
    """One field of each kind."""

    whole: int = 1
    number: float = 0.5
    limit: float | None = None
    sizes: tuple[int, ...] = (2,)
    names: tuple[str, ...] = ()
    choice: Literal["a", "b"] | None = None
    anything: object = None

    def __post_init__(self):
        check_config(self, positive=("whole", "limit", "sizes"), not_negative=("number",), shares=("number",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": np.float64(1)}, "whole=1.0 must be a whole number, as 100 or 10_000"),
        ({"number": float("nan")}, "number=nan must be a finite number"),
        ({"number": 2}, "number=2 must lie in 0..1"),
        ({"number": -1}, "number=-1 must not be negative"),
        ({"limit": 0}, "limit=0 must be greater than 0, or None to do without"),
        ({"limit": float("inf")}, "limit=inf must be a finite number"),
        ({"sizes": (3, 0)}, "sizes=(3, 0) must be greater than 0"),
        ({"sizes": 3}, "sizes=3 must be whole numbers, as (64, 64)"),
        ({"sizes": (True,)}, "sizes=(True,) must be whole numbers, as (64, 64)"),
        ({"choice": "c"}, "choice='c' is unknown. Choices: 'a', 'b'."),
        ({"whle": 3}, "Wide has no option 'whle'. Did you mean 'whole'?"),
    ],
)
def test_the_one_validator(values, message):
    with pytest.raises(ConfigError) as error:
        config_from(Wide, values)
    assert str(error.value) == message


def test_what_the_validator_lets_pass():
    assert config_from(Wide, {"sizes": [], "limit": 1, "number": 1, "anything": print}) == Wide(
        sizes=(), limit=1, number=1, anything=print
    )
    assert Wide(choice="a").limit is None
