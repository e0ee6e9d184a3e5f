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


def nearest_tick(fake, clock):
    return round(fake.now / clock.period_ns) * clock.period_ns


@pytest.fixture
def fake(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(clock_module, "time", fake)
    return fake


def test_a_tick_says_how_long_it_was_waited_for(fake):
    clock = DeadlineClock(50.0)
    fake.now = 10**6 * clock.period_ns
    clock.start()
    fake.sleep(0.005)
    assert 14.9e6 < clock.wait().waited_ns < 15.1e6
    fake.sleep(0.050)  # two deadlines have passed
    assert 9.9e6 < clock.wait().waited_ns < 10.1e6


def test_ticks_lie_on_one_grid_so_errors_do_not_add_up(fake):
    clock = DeadlineClock(30)
    clock.start()
    start = nearest_tick(fake, clock)
    for k in range(1, 301):
        fake.now += 5_000_000 + 10_000 * k  # work of uneven length
        tick = clock.wait()
        assert tick.missed == 0
        assert abs(tick.t_ns - (start + k * clock.period_ns)) < 5_000


@pytest.mark.parametrize(("periods", "missed"), [(0.5, 0), (0.99, 0), (1.2, 1), (3.7, 3)])
def test_missed_deadlines_are_counted_and_never_caught_up(fake, periods, missed):
    clock = DeadlineClock(20)
    clock.start()
    start = nearest_tick(fake, clock)
    fake.now += round(periods * clock.period_ns)
    tick = clock.wait()
    assert tick.missed == missed
    assert abs(tick.t_ns - (start + (missed + 1) * clock.period_ns)) < 5_000
    assert abs(clock.wait().t_ns - tick.t_ns - clock.period_ns) < 10_000


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.49, 0.51, 0.8, 0.99])
def test_clocks_that_start_at_different_times_tick_together(fake, phase):
    first, second = DeadlineClock(30), DeadlineClock(30)
    fake.now = 10**6 * first.period_ns
    first.start()
    began = fake.now = fake.now + round(phase * first.period_ns)
    second.start()
    ticks = set()
    for clock in (first, second):
        fake.now = began
        for _ in range(5):
            ticks.add(round(clock.wait().t_ns, -5))  # to a tenth of a millisecond
            fake.now += 1_000_000
    assert len(ticks) <= 6  # five of each; the earlier one may be a tick ahead
    fake.now = began
    second.start()
    assert 0.49 * second.period_ns < second.wait().t_ns - began < 1.51 * second.period_ns


def test_real_ticks_never_come_early():
    clock = DeadlineClock(200)
    clock.start()
    for _ in range(20):
        tick = clock.wait()
        assert tick.late_ns >= 0
        assert tick.t_ns <= time.monotonic_ns()
