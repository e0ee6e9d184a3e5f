"""A step of a live game in words."""

from hakisa_algos.cli.status import Status

INFO = {
    "readings": {"score": 123456.0, "bar": 0.25, "lives": None},
    "reward_parts": {"score": 1.5, "bar": -0.5},
    "focused": True,
    "held": ("Left", "button1"),
    "refused": 0,
    "dropped": 0,
    "released": (),
    "frame_age_ms": 1.26,
    "dt_ms": 33.3,
    "black": False,
    "clipped": False,
    "obscured": False,
    "resized": False,
    "unchanged_s": 0.1,
    "failure": "",
}
TROUBLE = INFO | {"focused": False, "held": (), "refused": 2, "released": ("focus lost",), "black": True}


def status(info=INFO):
    return Status(12, 3, "press Left for 50 ms", 1.0, 7.5, 4, info)


def test_a_line_says_everything():
    assert status().line() == (
        "step 12; episode 3; press Left for 50 ms; score 123456; bar 0.25; lives no reading; "
        "reward +1 (score +1.5, bar -0.5), return 7.5; focused, held Left button1; "
        "frame age 1.3 ms, dt 33.3 ms, missed deadlines 4"
    )


def test_trouble_is_said():
    said = status(TROUBLE | {"unchanged_s": 5.0}).line()
    assert "NOT FOCUSED, held nothing, 2 refused, released: focus lost" in said
    assert said.endswith("; black, unchanged for 5.0 s")


def test_a_lost_game_is_said_and_needs_no_other_values():
    lost = {"failure": "the window is gone", "transition": False, "readings": {}, "reward_parts": {}}
    assert status(lost).line().endswith("no input; no frame; LOST: the window is gone")


def test_lines_fit_and_their_number_does_not_change():
    for width in (79, 30, 5):
        usual, other = status().lines(width), status(TROUBLE).lines(width)
        assert len(usual) == len(other)
        assert all(len(line) <= width for line in [*usual, *other])
    assert len(status().lines(30)) > len(status().lines(79))
    assert status().lines(79)[1].split() == ["score", "123456", "bar", "0.25", "lives", "no", "reading"]


def test_a_reading_that_grows_moves_no_other():
    longer = INFO | {"readings": INFO["readings"] | {"score": 1.0}}
    assert status().lines(79)[1].index("bar") == status(longer).lines(79)[1].index("bar")
