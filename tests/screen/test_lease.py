"""How long keys stay down after the last step."""

import pytest

from hakisa_envs.screen.env import lease


def test_lease_at_the_default_rate():
    assert lease(30.0) == pytest.approx(1 / 30 + 0.15)


@pytest.mark.parametrize("rate", [10.0, 15.0, 60.0, 250.0])
def test_lease_is_a_quarter_of_a_second_at_most_from_10_hz_on(rate):
    assert 1 / rate + 0.1 < lease(rate) <= 0.25


@pytest.mark.parametrize("rate", [0.1, 1.0, 5.0])
def test_lease_of_a_slow_game_is_two_periods(rate):
    assert lease(rate) == pytest.approx(2 / rate)
