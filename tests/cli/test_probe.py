"""``hakisa probe``: what it says limits a game."""

from hakisa_algos.cli.probe import limits


def figures(value):
    return {"p50": value, "p90": value, "p99": value, "max": value}


FAST = {name: figures(value) for name, value in {"grab": 0.5, "shrink": 2.0, "overhead": 4.0}.items()}


def test_time_to_spare():
    (said,) = limits(FAST, steps=200, missed=1, rate=50.0)
    assert said.startswith("The rate: a step costs 4.0 ms (p99) of the 20.0 ms that it has, so about 250 steps/s")
    assert "shrink takes longest: 2.00 ms" in said


def test_a_machine_that_is_too_slow():
    for missed, rate in ((3, 50.0), (0, 300.0)):
        (said,) = limits(FAST, steps=200, missed=missed, rate=rate)
        assert said.startswith("This machine: ")
        assert f"{missed} of 200 deadlines were missed" in said


def test_a_game_that_shows_a_press_late_or_in_time():
    late = [*limits(FAST | {"action to picture": figures(30.0)}, steps=200, missed=0, rate=50.0)][1]
    assert late.startswith("The game: what is pressed shows only after 30.0 ms")
    in_time = [*limits(FAST | {"action to picture": figures(3.0)}, steps=200, missed=0, rate=50.0)][1]
    assert in_time == "What is pressed shows after 3.0 ms (p99), before the step's end."
