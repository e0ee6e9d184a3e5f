"""Schedules of epsilon."""

import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.config import EpsilonConfig
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.pqn import PQNConfig


def test_linear_takes_equal_differences():
    values = [
        EpsilonConfig(epsilon_start=1.0, epsilon_end=0.1, epsilon_fraction=0.5, epsilon_schedule="linear").epsilon(p)
        for p in (-1, 0, 0.25, 0.5, 0.7, 2)
    ]
    assert values == pytest.approx([1, 1, 0.55, 0.1, 0.1, 0.1])


def test_exponential_takes_equal_ratios():
    values = [
        EpsilonConfig(
            epsilon_start=1.0, epsilon_end=0.01, epsilon_fraction=0.5, epsilon_schedule="exponential"
        ).epsilon(p)
        for p in (0, 0.25, 0.5, 1)
    ]
    assert values == pytest.approx([1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("config", [DQNConfig, PQNConfig])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon_schedule": "exponentially"}, "Did you mean 'exponential'"),
        ({"epsilon_end": -0.1}, "epsilon_end=-0.1 must lie in 0..1"),
        ({"epsilon_start": 1.5}, "epsilon_start=1.5"),
        ({"epsilon_fraction": 0}, "epsilon_fraction=0"),
        ({"epsilon_end": 0.0, "epsilon_schedule": "exponential"}, "cannot be reached by ratios"),
    ],
)
def test_what_cannot_work_is_refused(config, options, message):
    with pytest.raises(ConfigError, match=message):
        config(**options)
