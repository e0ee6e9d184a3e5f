"""`hakisa watch --shot` and `hakisa digits`: pictures of any moment, and of the digits in them."""

import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from hakisa_algos.cli.main import main
from hakisa_envs.screen.digits import load_digits, save_digits
from hakisa_envs.screen.profile import load_profile
from tests.helpers.backends import arguments, portable_too

from .test_readers import SHAPES

# A counter in cells of 4 x 5 dots, each `scale` pixels wide: one more on each press of space, 90 more on that of a.
COUNTER = """
import sys
from Xlib import XK, X, display
import numpy as np
shapes = {d: np.random.default_rng(d).integers(0, 2, (5, 4)).astype(bool) for d in range(10)}
scale, align = int(sys.argv[1]), sys.argv[2]
connection = display.Display()
screen = connection.screen()
window = screen.root.create_window(0, 0, 200, 80, 0, screen.root_depth, background_pixel=0x203040,
                                   event_mask=X.KeyPressMask | X.ExposureMask)
window.set_wm_name("counter")
pen = window.create_gc()
window.map()
count = 0
while True:
    event = connection.next_event()
    if event.type == X.KeyPress:
        count += 90 if event.detail == connection.keysym_to_keycode(XK.XK_a) else 1
    window.clear_area()
    text = str(count)
    pen.change(foreground=0xFFFF00)
    left = 10 if align == "left" else 10 + 40 * scale - 4 * scale * len(text)
    for place, letter in enumerate(text):
        for y, x in zip(*np.nonzero(shapes[int(letter)])):
            window.fill_rectangle(pen, left + (4 * place + int(x)) * scale, 5 + int(y) * scale, scale, scale)
    connection.flush()
"""


@pytest.fixture
def counter(tmp_path, monkeypatch):
    """Writes a profile of such a counter, whose file of digits is not there yet; returns its path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counter.py").write_text(COUNTER)

    def write(scale=1, align="right", commands='["noop", "tap"]'):
        (tmp_path / "counter.toml").write_text(
            textwrap.dedent(
                f"""
                [launch]
                command = ["{{python}}", "{{profile}}/counter.py", "{scale}", "{align}"]
                [window]
                title = "^counter$"
                [actions]
                commands = {commands}
                keys = ["space"]
                rate = 20.0
                [reading.score]
                kind = "digits"
                region = [10, 5, {40 * scale}, {5 * scale}]
                cell = {4 * scale}
                scale = {scale}
                align = "{align}"
                low = [200, 200, 0]
                high = [255, 255, 90]
                digits = "digits.txt"
                different = 2
                [reading.light]
                kind = "brightness"
                [reading.bar]
                kind = "black"
                """
            )
        )
        return tmp_path / "counter.toml"

    return write


@pytest.fixture
def answers(monkeypatch, capsys):
    """Answers questions as somebody who sees the picture would; or as told."""
    asked, told = [], []

    def answer(question):
        asked.append(question)
        shown = capsys.readouterr().out
        told.append(shown)
        if script is not None:
            return script.pop(0) if script else end()
        rows = [line[2:] for line in shown.splitlines() if line.startswith("  ") and set(line) <= {" ", "#"}]
        return read(rows)

    def end():
        raise EOFError

    script = None

    def script_of(*words):
        nonlocal script
        script = list(words)

    def read(rows):
        width = max(map(len, rows))
        dots = np.array([[letter == "#" for letter in row.ljust(width)] for row in rows])
        scale = dots.shape[0] // 5
        dots, text = dots[scale // 2 :: scale], ""
        for left in range(0, width, 4 * scale + 1):
            cell = dots[:, left : left + 4 * scale][:, scale // 2 :: scale]
            text += next(str(digit) for digit, shape in SHAPES.items() if np.array_equal(cell, shape))
        return text

    monkeypatch.setattr("builtins.input", answer)
    answer.asked, answer.shown, answer.script = asked, told, script_of
    return answer


@pytest.mark.parametrize(("scale", "align"), [(1, "right"), (2, "left")])
def test_digits_are_gathered_from_play_until_all_are_there(counter, answers, scale, align, tmp_path, capsys):
    game = counter(scale, align)
    assert main(["digits", str(game), "score", "--seconds", "30"]) == 0
    assert f"{tmp_path}/digits.txt holds all ten digits" in capsys.readouterr().out
    gathered = load_digits(tmp_path / "digits.txt")
    assert all(np.array_equal(gathered[digit], SHAPES[digit]) for digit in range(10))
    assert len(answers.asked) <= 10  # never twice about one picture
    assert "digits.txt is begun" in answers.shown[0]
    assert "there are no digits yet" in answers.shown[0]
    assert load_profile(game).readings[0].reader.missing == []


def test_what_is_missing_is_named_when_play_ends(counter, answers, tmp_path, capsys):
    answers.script("0", "", "12", "2")  # skips the second picture, and once gives two digits for one
    assert main(["digits", str(counter()), "score"]) == 0
    assert "'12' is not 1 digits" in "".join(answers.shown)
    assert "digits.txt lacks 1, 3, 4, 5, 6, 7, 8, 9: play on" in capsys.readouterr().out
    assert sorted(load_digits(tmp_path / "digits.txt")) == [0, 2]


def test_answer_that_contradicts_another_is_said(counter, answers, capsys):
    answers.script("0", "0", "q")
    assert main(["digits", str(counter()), "score"]) == 0
    assert "0 was kept before, and this one differs in" in "".join(answers.shown) + capsys.readouterr().out


def test_nothing_to_be_seen_says_what_was_looked_for(counter, answers, capsys):
    game = counter()
    game.write_text(game.read_text().replace("low = [200, 200, 0]", "low = [200, 200, 89]"))
    assert main(["digits", str(game), "score", "--seconds", "0.2"]) == 0
    assert "Nothing new was seen: the first cell from the right has no pixel with" in capsys.readouterr().out
    assert not answers.asked


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["counter.toml", "scroe"], "Did you mean 'score'"),
        (["counter.toml", "light"], "no reading of the kind digits"),
        (["lbreakout2", "score"], "a profile of your own"),
        (["absent.toml", "score"], "no such file"),
        (["counter.toml", "score", "--seconds", "0"], "must be more than 0"),
    ],
)
def test_what_digits_cannot_be_gathered_of(counter, arguments, match, capsys):
    counter()
    Path("digits.txt").write_text("")
    assert main(["digits", *arguments]) == 2
    assert match in capsys.readouterr().err


def test_shot_shows_the_beginning_with_readings_and_their_figures(counter, tmp_path, capsys):
    game = counter()
    Path("digits.txt").write_text("1\n#.#.\n.#.#\n....\n####\n#..#\n")
    assert main(["watch", str(game), "--shot", "shots/first.png"]) == 0
    picture = cv2.imread("shots/first.png")
    assert picture.shape == (80, 200, 3)
    assert picture[60, 100].tolist() == [0x40, 0x30, 0x20]
    said = capsys.readouterr().out
    assert "written to shots/first.png, 200 x 80" in said
    assert f"started from {sys.executable}" in said
    assert "score: no reading; cell 1 from the right fits none: the nearest is 1, which differs in" in said
    assert "bar: 0; the brightest red, green or blue is 255 (black is at most 8)" in said


def test_script_that_waits_for_a_number_that_cannot_be_read_says_why(counter, capsys):
    game = counter()
    Path("digits.txt").write_text("")
    game.write_text(game.read_text() + '[[reset]]\ndo = "look"\nuntil = "score is read"\ntimeout = 0.2\n')
    assert main(["watch", str(game), "--shot", "x.png"]) != 0
    said = capsys.readouterr().err
    assert "'score is read' did not come true" in said
    assert "; score: cell 1 from the right fits none: there are no digits yet" in said


def test_watch_says_in_each_line_why_a_reading_is_none(counter, capsys):
    game = counter()
    Path("digits.txt").write_text("1\n#.#.\n.#.#\n....\n####\n#..#\n")
    assert main(["watch", str(game), "--seconds", "0.2", "--policy", "none"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert len(lines) == 4
    for line in lines:
        assert "; score no reading; " in line
        assert "; score: cell 1 from the right fits none: the nearest is 1, which differs in " in line


@pytest.mark.parametrize(
    ("keys", "count", "where"),
    [
        (["a"], 90, "x11"),
        (["space", "space", "1.5", "a"], 92, "x11"),
        (["Shift_L+a", "10,10"], 91, "x11"),
        portable_too(["space", "Shift_L+a", "10,10"], 92),
    ],
    indirect=["where"],
)
def test_shot_after_keys_shows_what_they_brought(counter, keys, count, where):
    game = counter(commands='["noop"]')
    game.write_text(game.read_text().replace('keys = ["space"]\n', ""))
    Path("digits.txt").write_text("")
    save_digits(Path("digits.txt"), SHAPES)
    assert main(["watch", str(game), "--shot", "later.png", "--keys", *keys, *arguments(where)]) == 0
    reader = load_profile(game).readings[0].reader
    picture = cv2.imread("later.png")
    assert reader.read(np.dstack([picture, picture[..., :1]])) == count


def test_shot_after_some_seconds_of_play(counter):
    game = counter(commands='["tap"]')
    save_digits(Path("digits.txt"), SHAPES)
    assert main(["watch", str(game), "--shot", "later.png", "--after", "1"]) == 0
    picture = cv2.imread("later.png")
    assert load_profile(game).readings[0].reader.read(np.dstack([picture, picture[..., :1]])) > 3


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--shot", "x.tiff2"], "must end in .png"),
        (["--after", "2"], "need --shot FILE.png"),
        (["--keys", "a"], "need --shot FILE.png"),
        (["--shot", "x.png", "--out", "x.mp4"], "leave one of them out"),
        (["--shot", "x.png", "--after", "-1"], "--after -1 is not allowed"),
        (["--shot", "x.png", "--keys", "enter"], "--keys enter: There is no key 'enter': did you mean 'Return'"),
        (
            ["--shot", "x.png", "--keys", "a", "Control_L+Retrun"],
            "--keys Control_L+Retrun: There is no key 'Retrun': did",
        ),
        (
            ["--shot", "x.png", "--keys", "Alt_L+F4"],
            "--keys Alt_L+F4: The keys 'Alt_L+F4' must not be",
        ),
        (["--shot", "x.png", "--keys", "a", "--display", ":7"], "--arm"),
    ],
)
def test_options_of_a_shot_that_do_not_go_together(arguments, match, capsys):
    assert main(["watch", "flash", *arguments]) == 2
    assert match in capsys.readouterr().err


def test_shot_needs_no_torch(tmp_path):
    from .test_verbs import WITHOUT_TRAINERS

    command = [sys.executable, "-W", "error", "-c", WITHOUT_TRAINERS, "watch", "flash", "--shot", tmp_path / "x.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x.png").stat().st_size > 100
