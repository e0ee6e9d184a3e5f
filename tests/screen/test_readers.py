import copy
import os
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest

from hakisa_envs.screen.digits import load_digits, save_digits
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.readers import (
    Bar,
    Black,
    Brightness,
    ColourShare,
    Digits,
    Frozen,
    Lamps,
    PythonReader,
    Template,
    explain,
    make_reader,
)
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.tables import TableBuilder

RED = (200, 20, 20)


def canvas(height=40, width=60, colour=(0, 0, 0)):
    """A BGRA picture of one RGB colour."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., :3] = colour[::-1]
    return pixels


def paint(pixels, region, colour):
    region.of(pixels)[..., :3] = colour[::-1]


# Ten 5 x 4 pictures that differ from each other in several pixels.
SHAPES = {d: np.random.default_rng(d).integers(0, 2, (5, 4)).astype(bool) for d in range(10)}


@pytest.fixture
def digits(tmp_path):
    lines = []
    for digit, shape in SHAPES.items():
        lines += [str(digit), *("".join(".#"[int(bit)] for bit in row) for row in shape)]
    path = tmp_path / "digits.txt"
    path.write_text("\n".join(lines))
    return path


def write_number(pixels, text, right, top, colour=(250, 250, 0)):
    for place, letter in enumerate(reversed(text)):
        left = right - 4 * (place + 1)
        pixels[top : top + 5, left : left + 4, :3][SHAPES[int(letter)]] = colour[::-1]


@pytest.mark.parametrize("number", ["0", "7", "42", "9071", "123456789"])
def test_digits_read_right_aligned_numbers(digits, number):
    pixels = canvas(colour=(30, 60, 30))
    write_number(pixels, number, 50, 3)
    reader = Digits(Region(10, 3, 40, 5), 4, (200, 200, 0), (255, 255, 90), digits, different=3)
    assert reader.read(pixels) == float(number)
    assert copy.deepcopy(reader).read(pixels) == float(number)


def test_digits_in_doubt_are_no_reading_and_never_zero(digits):
    reader = Digits(Region(10, 3, 40, 5), 4, (200, 200, 0), (255, 255, 90), digits, different=2)
    assert reader.read(canvas()) is None
    pixels = canvas()
    paint(pixels, Region(42, 3, 8, 5), (250, 250, 0))
    assert reader.read(pixels) is None


def write_left(pixels, text, left, top, scale=1):
    for place, letter in enumerate(text):
        at = left + 4 * scale * place
        shape = np.kron(SHAPES[int(letter)], np.ones((scale, scale))).astype(bool)
        pixels[top : top + 5 * scale, at : at + 4 * scale, :3][shape] = (0, 250, 250)


YELLOW = ((200, 200, 0), (255, 255, 90))


@pytest.mark.parametrize("number", ["0", "7", "42", "0042", "9071", "000", "123456789"])
@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("align", ["left", "right"])
def test_digits_at_either_side_with_leading_zeros_and_at_any_scale(digits, number, scale, align):
    pixels = canvas(40, 200, colour=(30, 60, 30))
    region = Region(10, 3, 40 * scale, 5 * scale)
    left = 10 if align == "left" else 10 + region.width - 4 * scale * len(number)
    write_left(pixels, number, left, 3, scale)
    reader = Digits(region, 4 * scale, *YELLOW, digits, different=3 * scale, align=align, scale=float(scale))
    assert reader.read(pixels) == float(number)
    assert "differs from its digit in more than 0 pixels" in reader.explain(pixels)


def test_digits_drawn_one_and_a_half_times_as_large(digits):
    picture = SHAPES[4][(np.arange(8) / 1.5).astype(int)][:, (np.arange(6) / 1.5).astype(int)]
    pixels = canvas()
    pixels[3:11, 10:16, :3][picture] = (0, 250, 250)
    assert Digits(Region(10, 3, 12, 8), 6, *YELLOW, digits, align="left", scale=1.5, different=3).read(pixels) == 4.0


def keep(path, kept):
    """Leave only these digits in a file."""
    save_digits(path, {digit: picture for digit, picture in load_digits(path).items() if digit in kept})


def test_cell_that_fits_no_digit_says_which_and_by_how_much(digits):
    keep(digits, [1, 2, 3])
    pixels = canvas()
    reader = Digits(Region(10, 3, 40, 5), 4, *YELLOW, digits, different=5)
    write_number(pixels, "1732", 50, 3)
    assert reader.read(pixels) is None
    far = min(int((SHAPES[7] != SHAPES[known]).sum()) for known in (1, 2, 3))
    words = reader.explain(pixels)
    assert words.startswith("cell 3 from the right fits none: the nearest is ")
    assert f"which differs in {far} pixels (" in words
    ((number, cell, _),) = reader.unknown(pixels)
    assert number == 3
    assert np.array_equal(cell, SHAPES[7])
    assert reader.missing == [0, 4, 5, 6, 7, 8, 9]
    write_number(pixels := canvas(), "1332", 50, 3)
    assert reader.read(pixels) == 1332.0


def test_digits_that_are_missing_are_not_taken_for_their_neighbours(digits):
    """A 3 that has all but the left half of an 8: while nobody has seen an 8, one is no 3 however tolerant one is."""
    shapes = load_digits(digits)
    shapes[8] = shapes[3].copy()
    shapes[8][:, 0] = ~shapes[8][:, 0]  # differs in 5 of 20 pixels
    save_digits(digits, shapes)
    pixels = canvas()
    pixels[3:8, 46:50, :3][shapes[8]] = (0, 250, 250)
    options = (Region(10, 3, 40, 5), 4, *YELLOW, digits)
    assert Digits(*options, different=6).read(pixels) == 8.0
    keep(digits, [0, 1, 2, 3])
    assert Digits(*options, different=6).read(pixels) is None
    assert "while 4, 5, 6, 7, 8, 9 are missing" in Digits(*options, different=6).explain(pixels)


def test_file_without_digits_reads_nothing_and_says_so(digits):
    digits.write_text("")
    pixels = canvas()
    reader = Digits(Region(10, 3, 40, 5), 4, *YELLOW, digits)
    assert "has no pixel with the colours [200, 200, 0] to [255, 255, 90]" in reader.explain(pixels)
    write_number(pixels, "12", 50, 3)
    assert reader.read(pixels) is None
    assert reader.explain(pixels).count("there are no digits yet") == 2
    assert copy.deepcopy(reader).missing == list(range(10))


def test_cell_that_is_as_near_to_two_digits_is_neither(digits):
    shapes = load_digits(digits)
    first, second = shapes[1], shapes[1].copy()
    second[0] = ~second[0]
    save_digits(digits, shapes | {2: second})
    between = first.copy()
    between[0, :2] = second[0, :2]  # two pixels from each
    pixels = canvas()
    pixels[3:8, 46:50, :3][between] = (0, 250, 250)
    reader = Digits(Region(10, 3, 40, 5), 4, *YELLOW, digits, different=5)
    assert reader.read(pixels) is None
    assert "is as near to 1 as to 2: each differs in 2 pixels" in reader.explain(pixels)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1\n##\n2\n##\n", "draws 1 and 2 alike"),
        ("1\n#.\n1\n.#\n", "draws 1 twice, the second time in line 3"),
        ("1\n#.\n#\n", r"draws 1 in rows of \[2, 1\] dots"),
        ("1\n2\n##\n", r"draws 1 in rows of \[\]"),
        ("3\n..\n", "draws 3 without a single '#'"),
        ("##\n", "begins with '##'"),
        ("\u00b2\n##\n", "begins with '\u00b2'"),
    ],
)
def test_mistakes_in_a_file_of_digits_are_named(tmp_path, text, match):
    (tmp_path / "digits.txt").write_text(text)
    with pytest.raises(ValueError, match=match) as caught:
        load_digits(tmp_path / "digits.txt")
    assert "digits.txt" in str(caught.value)


def test_tolerances_are_explained_with_the_figure_that_the_picture_has_now(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "t.png"), picture)
    pixels = canvas(colour=(37, 90, 12))
    pixels[20:26, 30:38, :3] = picture
    paint(pixels, Region(0, 0, 10, 4), RED)
    assert explain(Template(tmp_path / "t.png"), pixels) == "the best correlation is 1.000 (least = 0.95)"
    assert explain(Bar(Region(0, 0, 20, 4), (150, 0, 0), (255, 60, 60)), pixels).startswith("10 of 20 lines")
    lamps = Lamps((Region(0, 0, 4, 4), Region(20, 10, 4, 4)), (0, 0, 0), (9, 9, 9), (20, 0, 0), (29, 9, 9))
    assert explain(lamps, pixels) == "the mean colours are [200, 20, 20], [37, 90, 12]"
    assert "is 90 (black is at most 8)" in explain(Black(Region(20, 10, 4, 4)), pixels)
    assert explain(Brightness(), pixels) == ""


@pytest.mark.parametrize("grows", ["right", "left", "up", "down"])
@pytest.mark.parametrize("filled", [0, 3, 10, 20])
def test_bar_reads_its_filled_share(grows, filled):
    pixels = canvas()
    whole = {"right": (20, 4), "left": (20, 4), "up": (4, 20), "down": (4, 20)}[grows]
    region = Region(5, 5, *whole)
    part = {
        "right": Region(5, 5, filled, 4),
        "left": Region(25 - filled, 5, filled, 4),
        "down": Region(5, 5, 4, filled),
        "up": Region(5, 25 - filled, 4, filled),
    }[grows]
    paint(pixels, part, RED)
    assert Bar(region, (150, 0, 0), (255, 60, 60), grows).read(pixels) == filled / 20


def test_lamps_count_and_say_nothing_if_one_is_neither_lit_nor_unlit():
    places = (Region(0, 0, 4, 4), Region(10, 0, 4, 4), Region(20, 0, 4, 4))
    lamps = Lamps(places, (180, 150, 0), (210, 180, 90), (120, 120, 120), (150, 150, 150))
    pixels = canvas(colour=(138, 138, 138))
    assert lamps.read(pixels) == 0.0
    paint(pixels, places[1], (192, 165, 57))
    assert lamps.read(pixels) == 1.0
    paint(pixels, places[2], (10, 10, 10))
    assert lamps.read(pixels) is None


def test_template_is_found_where_it_is_and_not_elsewhere(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "t.png"), picture)
    pixels = canvas(colour=(90, 90, 90))
    assert Template(tmp_path / "t.png").read(pixels) == 0.0
    pixels[20:26, 30:38, :3] = picture
    assert Template(tmp_path / "t.png").read(pixels) == 1.0
    assert Template(tmp_path / "t.png", Region(28, 18, 12, 10)).read(pixels) == 1.0
    assert Template(tmp_path / "t.png", Region(0, 0, 20, 20)).read(pixels) == 0.0
    assert Template(tmp_path / "t.png").read(canvas(4, 4)) is None


def test_colour_share_brightness_and_black():
    pixels = canvas(10, 10)
    assert Black().read(pixels) == 1.0
    paint(pixels, Region(0, 0, 5, 10), RED)
    assert ColourShare(Region(0, 0, 10, 10), (150, 0, 0), (255, 60, 60)).read(pixels) == 0.5
    assert Brightness(Region(0, 0, 10, 10)).read(pixels) == pytest.approx(40.0)
    assert Black().read(pixels) == 0.0
    assert Black(Region(6, 0, 2, 2)).read(pixels) == 1.0


def test_frozen_counts_readings_without_a_change():
    reader, pixels = Frozen(Region(0, 0, 4, 4)), canvas()
    assert [reader.read(pixels) for _ in range(3)] == [0.0, 1.0, 2.0]
    paint(pixels, Region(10, 10, 2, 2), RED)
    assert reader.read(pixels) == 3.0
    paint(pixels, Region(1, 1, 2, 2), RED)
    assert reader.read(pixels) == 0.0


def test_python_function_gets_rgb_and_may_have_no_reading(tmp_path, monkeypatch):
    (tmp_path / "my_reader_module.py").write_text(
        "def red(rgb):\n    return rgb[..., 0].mean() if rgb.any() else None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    reader = PythonReader("my_reader_module:red")
    assert reader.read(canvas()) is None
    assert reader.read(canvas(colour=RED)) == 200.0


def test_python_function_stands_beside_the_profile_and_survives_pickling(tmp_path):
    (tmp_path / "beside_the_profile.py").write_text("def width(rgb):\n    return rgb.shape[1]\n")
    builder = TableBuilder(tmp_path / "game.toml")
    reader = make_reader("python", {"function": "beside_the_profile:width"}, builder, "reading.x")
    assert reader.read(canvas()) == 60.0
    script = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).folder)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p != str(tmp_path))}
    command = [sys.executable, "-c", script, pickle.dumps(reader).hex()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)
    assert copy.deepcopy(reader).read(canvas()) == 60.0


def test_modules_of_one_name_beside_two_profiles_are_two(tmp_path):
    before = list(sys.path)
    values = []
    for number, folder in enumerate(("one", "two", "two/inner")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "score.py").write_text(f"def read(rgb):\n    return {number}\n")
        # The last is named from the profile in "two".
        options, profile = {"function": "score:read"}, tmp_path / folder / "game.toml"
        if folder == "two/inner":
            options, profile = options | {"folder": "inner"}, tmp_path / "two" / "game.toml"
        values.append(make_reader("python", options, TableBuilder(profile), "reading.x").read(canvas()))
    assert values == [0.0, 1.0, 2.0]
    assert sys.path == before
    assert "score" not in sys.modules


def test_package_beside_the_profile_has_modules_of_its_own(tmp_path):
    (tmp_path / "eyes").mkdir()
    (tmp_path / "eyes" / "__init__.py").write_text("from .number import NUMBER\n\ndef f(rgb):\n    return NUMBER\n")
    (tmp_path / "eyes" / "number.py").write_text("NUMBER = 7\n")
    reader = make_reader("python", {"function": "eyes:f"}, TableBuilder(tmp_path / "game.toml"), "reading.x")
    assert reader.read(canvas()) == 7.0


REGION = {"region": [0, 0, 4, 4]}
CELLS = {"region": [0, 0, 40, 5], "cell": 4, "low": [0, 0, 0], "high": [1, 1, 1], "digits": "digits.txt"}
LAMP = {"places": [[0, 0, 4, 4]], "lit_low": [9, 9, 9], "lit_high": [9, 9, 9]}


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        ("digit", {}, "did you mean 'digits'"),
        ("bar", {"regoin": [0, 0, 4, 4]}, "did you mean 'region'"),
        ("bar", REGION, r"reading\.x\.low is missing"),
        ("bar", {"region": [0, 0, 0, 4], "low": [0, 0, 0], "high": [1, 1, 1]}, "region"),
        ("bar", {"region": [0, 0, 4], "low": [0, 0, 0], "high": [1, 1, 1]}, "list of 4"),
        ("bar", REGION | {"low": [0, 0, 0], "high": [1, 1, 1], "grows": "rigth"}, "did you mean 'right'"),
        ("bar", REGION | {"low": [0, 0, 0], "high": [1, 256, 1]}, r"high = \[1, 256, 1\] must lie between 0 and 255"),
        ("colour", REGION | {"low": [0, 9, 0], "high": [1, 8, 1]}, r"no part of low above that of high"),
        ("lamps", LAMP | {"unlit_low": [5, 0, 0], "unlit_high": [4, 0, 0]}, r"unlit_low = \[5, 0, 0\]"),
        ("lamps", LAMP | {"places": [], "unlit_low": [0, 0, 0], "unlit_high": [4, 0, 0]}, "at least one lamp"),
        ("brightness", {"every": 0}, "every = 0 must be at least 1"),
        ("template", {"picture": "missing.png"}, "does not exist"),
        ("template", {"picture": "picture.png", "least": 1.5}, r"least = 1\.5 must be"),
        ("template", {"picture": "flat.png"}, "one colour"),
        ("template", {"picture": "digits.txt"}, "no image"),
        ("digits", REGION | {"cell": 4, "low": [0, 0, 0], "high": [1, 1, 1], "digits": "digits.txt"}, "wide"),
        ("digits", CELLS | {"different": 0}, "different = 0 must be at least 1"),
        ("digits", CELLS | {"different": -3}, "different = -3 must be at least 1"),
        ("digits", CELLS | {"different": 21}, "different = 21 must be .* at most a cell's 20 pixels"),
        ("digits", CELLS | {"align": "centre"}, "align = 'centre' is not allowed"),
        ("digits", CELLS | {"scale": 0}, "scale = 0 must be at least 1"),
        ("digits", CELLS | {"scale": 2}, "with scale = 2 draws 0 8 wide and 10 high, but a cell is 4 wide"),
        ("template", {"picture": "picture.png", "least": -0.5}, r"least = -0\.5 must be"),
        ("python", {"function": "no_such_module:f"}, "no_such_module"),
        ("python", {"function": "math:no_such"}, "no_such"),
        ("python", {"function": "math:pi"}, "not callable"),
        ("python", {"function": "raises_at_import:f"}, "ZeroDivisionError"),
    ],
)
def test_wrong_options_name_the_field(kind, options, match, tmp_path, digits):
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((4, 4, 3), 7, np.uint8))
    cv2.imwrite(str(tmp_path / "picture.png"), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    (tmp_path / "raises_at_import.py").write_text("1 / 0\n")
    with pytest.raises(ProfileError, match=match):
        make_reader(kind, options, TableBuilder(tmp_path / "game.toml"), "reading.x")
