"""A film's frame: both pictures where they belong, words under them, one size throughout."""

import numpy as np
import pytest

from hakisa_algos.cli.scene import GAP, LINE, Scene


def solid(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def test_the_observation_is_enlarged_with_sharp_edges_beside_the_window():
    observation = np.zeros((84, 84, 3), np.uint8)
    observation[0, 1] = 255
    scene = Scene(observation, solid(480, 640, (10, 200, 30)))
    frame = scene.draw(observation, solid(480, 640, (10, 200, 30)), [])
    height = width = 84 * 5
    assert frame.shape == (height + GAP, width + GAP + 560, 3)
    assert (frame[:5, 5:10] == 255).all()
    assert frame[:height, :width].sum() == 5 * 5 * 3 * 255
    assert (frame[:height, width : width + GAP] == 0).all()
    assert (frame[:height, width + GAP :] == (10, 200, 30)).all()


def test_words_stand_in_lines_of_their_own_and_later_frames_keep_the_size():
    observation, window = solid(84, 84, 0), solid(100, 300, 0)
    scene = Scene(observation, window)
    first = scene.draw(observation, window, ["one", "", "three"])
    under = first[420 + GAP :]
    assert len(under) == 3 * LINE
    written = [bool(under[k * LINE : (k + 1) * LINE].any()) for k in range(3)]
    assert written == [True, False, True]
    assert scene.draw(observation, window, ["1", "2", "3", "4"]).shape == first.shape
    assert scene.draw(observation, solid(50, 60, 9), []).shape == first.shape


@pytest.mark.parametrize("height", [1, 84, 481, 1080])
def test_any_size_of_observation(height):
    observation = solid(height, 7, 5)
    scene = Scene(observation, observation)
    assert scene.draw(observation, observation, ["x" * scene.columns]).shape[1] >= 640


def test_as_many_characters_as_it_says_fit_in_a_line():
    observation = solid(84, 84, 0)
    scene = Scene(observation, observation)
    text = ("missed deadlines 0, held Left; frame age 0.7 ms " * 9)[: scene.columns]
    frame = scene.draw(observation, observation, [text])
    assert frame[420 + GAP :].any()
    assert not frame[420 + GAP :, -3:].any()
