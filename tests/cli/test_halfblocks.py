"""Pictures as half blocks: which colours, how large."""

import re

import numpy as np
import pytest

from hakisa_algos.cli.halfblocks import half_blocks


def solid(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def size(lines):
    plain = [re.sub(r"\033\[[0-9;]*m", "", line) for line in lines]
    assert len({len(line) for line in plain}) == 1
    assert set("".join(plain)) == {"▀"}
    return len(plain[0]), len(plain)


def test_a_character_holds_the_colours_of_two_pixels():
    picture = np.array([[[255, 0, 1]], [[2, 128, 3]]], np.uint8)
    assert half_blocks(picture, 1, 1, true_colour=True) == ["\033[38;2;255;0;1;48;2;2;128;3m▀\033[0m"]
    assert half_blocks(picture, 1, 1, true_colour=False) == ["\033[38;5;196;48;5;28m▀\033[0m"]


def test_the_lower_half_of_an_odd_last_row_is_black():
    assert half_blocks(solid(1, 1, 255), 1, 1, true_colour=True) == ["\033[38;2;255;255;255;48;2;0;0;0m▀\033[0m"]


def test_a_colour_is_named_once_as_long_as_it_stays():
    (line,) = half_blocks(solid(2, 50, 77), 50, 1, true_colour=True)
    assert line.count("\033[38") == 1


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows", "expected"),
    [
        (84, 84, 200, 42, (84, 42)),  # as it is
        (84, 84, 80, 24, (48, 24)),  # as high as fits
        (84, 84, 30, 40, (30, 15)),  # as wide as fits
        (10, 20, 100, 40, (100, 25)),  # enlarged by a whole number
        (500, 1, 10, 3, (1, 3)),  # never less than a pixel
        (84, 84, 0, -3, (1, 1)),  # nor than a character, however small the terminal
    ],
)
def test_it_fits_and_keeps_its_shape(height, width, columns, rows, expected):
    assert size(half_blocks(solid(height, width, 9), columns, rows, true_colour=False)) == expected


def numbers(colours):
    """Of xterm's 256, those that a row of colours is drawn in."""
    row = np.array([colours, colours], np.uint8)
    (line,) = half_blocks(row, len(colours), 1, true_colour=False)
    return np.array(re.findall(r"38;5;(\d+)", line), int)


def test_greys_become_greys_and_none_is_further_off_than_a_level():
    found = np.concatenate([numbers([[grey] * 3]) for grey in range(256)])
    assert (found[0], found[255]) == (16, 231)  # the cube's black and white
    assert set(found[10:240]) <= set(range(232, 256))
    assert (np.diff(found[6:250]) >= 0).all()
    shown = 8 + 10 * (found[8:239] - 232)
    assert np.abs(shown - np.arange(8, 239)).max() <= 12


def test_colours_are_the_nearest_of_the_cube():
    assert numbers([[0, 0, 255], [255, 0, 0], [95, 135, 175]]).tolist() == [21, 196, 67]
