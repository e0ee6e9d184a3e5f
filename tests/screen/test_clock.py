import time

import pytest

from hakisa_envs.screen import clock as clock_module
from hakisa_envs.screen.clock import DeadlineClock


class FakeTime:
    """Time that passes only while somebody sleeps, or a little with every look."""

    def __init__(self):
        self.now = 10**12

    def monotonic_ns(self):
        self.now += 1_000
        return self.now

    def sleep(self, seconds):
        self.now += round(seconds * 1e9)


@pytest.fixture
def fake(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def test_a_tick_says_how_long_it_was_waited_for(fake):
    clock = DeadlineClock(50.0)
    clock.start()
    fake.sleep(0.005)
    assert 14.9e6 < clock.wait().waited_ns < 15.1e6
    fake.sleep(0.050)  # two deadlines have passed
    assert 9.9e6 < clock.wait().waited_ns < 10.1e6


def test_ticks_lie_on_one_grid_so_errors_do_not_add_up(fake):
    clock = DeadlineClock(30)
    clock.start()
    start = fake.now
    for k in range(1, 301):
        fake.now += 5_000_000 + 10_000 * k  # work of uneven length
        tick = clock.wait()
        assert tick.missed == 0
        assert abs(tick.t_ns - (start + k * clock.period_ns)) < 5_000


@pytest.mark.parametrize(("periods", "missed"), [(0.5, 0), (0.99, 0), (1.2, 1), (3.7, 3)])
def test_missed_deadlines_are_counted_and_never_caught_up(fake, periods, missed):
    clock = DeadlineClock(20)
    clock.start()
    start = fake.now
    fake.now += round(periods * clock.period_ns)
    tick = clock.wait()
    assert tick.missed == missed
    assert abs(tick.t_ns - (start + (missed + 1) * clock.period_ns)) < 5_000
    assert abs(clock.wait().t_ns - tick.t_ns - clock.period_ns) < 10_000


def test_real_ticks_never_come_early():
    clock = DeadlineClock(200)
    clock.start()
    for _ in range(20):
        tick = clock.wait()
        assert tick.late_ns >= 0
        assert tick.t_ns <= time.monotonic_ns()
