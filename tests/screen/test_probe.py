"""The latency probe on a real game: what it measures is there, adds up, and is not measured where it must not be."""

import time
from dataclasses import replace

import pytest

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError, Killed, ReaderError, ScreenError
from hakisa_envs.screen.game import ProbeTarget
from hakisa_envs.screen.probe import ANSWER_S, LatencyProbe, percentiles
from hakisa_envs.screen.profile import load_profile

from .helpers import Screen, game_window, press_chord, wait_until

NOOP, FLASH, LEFT = [0, 0, 0], [1, 0, 0], [1, 1, 0]
PARTS = {"grab", "shrink", "readers", "input round trip"}


@pytest.fixture
def make(where):
    """Makes probes and closes them with their envs."""
    made = []

    def make(profile="flash", **options):
        env = ScreenGameEnv(profile, **where | options)
        made.append((LatencyProbe(env), env))
        return made[-1][0]

    yield make
    for probe, env in made:
        probe.close()
        env.close()


def test_percentiles():
    assert percentiles([float(k) for k in range(101)]) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    assert percentiles([0.12345]) == dict.fromkeys(("p50", "p90", "p99", "max"), 0.123)


def test_steps_and_parts_are_timed(make):
    probe = make()
    start = time.perf_counter()
    for _ in range(6):
        probe.step(FLASH)
    elapsed = (time.perf_counter() - start) * 1e3
    for _ in range(4):
        probe.parts()
    counts = {name: len(values) for name, values in probe.times.items()}
    # The first step follows the reset, whose frame is no step's.
    assert counts == dict.fromkeys(PARTS, 4) | {"overhead": 6, "frame age": 6, "step period error": 5}
    assert all(value >= 0 for values in probe.times.values() for value in values)
    assert sum(probe.times["overhead"]) < elapsed - 5 * 50.0 * 0.5  # the waiting is no overhead
    assert probe.steps == 6
    assert probe.capture_status


def test_missed_deadlines_are_counted(make):
    probe = make()
    probe.step(NOOP)
    time.sleep(0.125)
    probe.step(NOOP)
    assert probe.missed >= 2
    assert max(probe.times["step period error"]) > 50


def test_it_goes_on_over_the_end_of_an_episode(make):
    probe = make(rate=60.0)
    ended = [probe.step(LEFT)["readings"]["bar"] < 0.05 for _ in range(60)]
    # No period begins with the first step after an end; the last one, which may be an end itself, begins none anyhow.
    ends = sum(ended[:-1])
    assert ends >= 1
    assert len(probe.times["step period error"]) == probe.steps - 1 - ends


def test_a_press_is_timed_until_its_picture(make):
    probe = make()
    probe.step(NOOP)
    before = probe.step(NOOP)["readings"]["flash"]
    for _ in range(3):
        probe.press()
    times = probe.times["action to picture"]
    assert len(times) == 3
    assert probe.unseen == 0
    assert all(0 < value < ANSWER_S * 1e3 for value in times)
    assert abs(probe.step(NOOP)["readings"]["flash"] - before) > 100  # three flips


def test_a_press_that_shows_nothing_is_counted(make, monkeypatch):
    monkeypatch.setattr("hakisa_envs.screen.probe.ANSWER_S", 0.1)
    profile = replace(load_profile("flash"), probe=ProbeTarget("space", "bar", 0.5))
    probe = make(profile)
    probe.step(NOOP)
    probe.press()
    assert probe.unseen == 1
    assert not probe.times["action to picture"]


def test_what_cannot_be_pressed_says_why(make):
    for profile, options in ((replace(load_profile("flash"), probe=None), {}), ("flash", {"armed": False})):
        probe = make(profile, **options)
        with pytest.raises(ValueError, match=r"step\(\) first"):
            probe.parts()
        probe.step(NOOP)
        with pytest.raises(ValueError, match=r"\[probe\], and input that is armed"):
            probe.press()


def test_a_press_without_focus_or_after_the_kill_chord_raises(make):
    probe = make()
    probe.step(NOOP)
    person = Screen(probe._env._session.display.name)
    cover = person.window(300, 200, 20, 20, override=True)  # of what is read, it covers nothing
    person.focus(cover)
    with pytest.raises(InputError, match="'space' was refused"):
        probe.press()
    press_chord(person)
    wait_until(lambda: probe._env._session.input.report().killed)
    with pytest.raises(Killed):
        probe.press()
    person.close()


def test_no_reading_to_begin_with(make):
    profile = load_profile("flash")
    blind = replace(profile.readings[0], reader=NoReading())
    probe = make(replace(profile, readings=(blind, *profile.readings[1:]), reset=()))
    probe.step(NOOP)
    with pytest.raises(ReaderError, match="shows no reading of it"):
        probe.press()


class NoReading:
    def read(self, pixels):
        return None


def test_a_game_that_is_lost_is_raised(make):
    probe = make()
    probe.step(NOOP)
    person = Screen(probe._env._session.display.name)
    game_window(person).destroy()
    person.display.sync()
    person.close()
    with pytest.raises(ScreenError, match="window is gone"):
        probe.step(NOOP)
