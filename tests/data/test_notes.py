"""What is read of a row's infos, and what is left alone since it only has a name of the contract's."""

import numpy as np
import pytest

from hakisa_algos.data.notes import Note, read_notes

REWARD, ALL, NONE = np.array([1.5, 2.0]), np.ones(2, bool), np.zeros(2, bool)


def notes(infos, played=ALL, over=NONE, first=0):
    return read_notes(infos, REWARD, played, over, first)


def test_a_column_says_where_it_stands_what_was_paid_and_what_it_reached():
    places = np.empty(2, object)
    places[:] = [(0, 1, 2), None]
    infos = {
        "place": places, "_place": np.array([True, False]),
        "reward_tile": np.array([0.5, 0.0]), "_reward_tile": np.array([True, False]),
        "progress": np.array([3, 0]), "_progress": np.array([True, False]),
        "milestone": np.array(["badge", None], object), "_milestone": np.array([True, False]),
    }  # fmt: skip
    assert notes(infos, first=4) == {4: Note((0, 1, 2), 1.5, {"tile": 0.5}, 3.0, "badge", None)}
    assert notes(infos, played=NONE) == {}
    assert notes({"reward_tile": infos["reward_tile"]}) == {}
    assert notes({"place": np.array([[0, 1], [2, 3]])})[1].place == (2, 3)


def test_where_the_next_episode_has_begun_the_last_row_counts():
    final = {"place": np.array([[7, 7, 7], [0, 0, 0]]), "_place": np.array([True, False])}
    infos = {"place": np.array([[1, 1, 1], [2, 2, 2]]), "final_info": final}
    said = notes(infos, over=np.array([True, False]))
    assert (said[0].place, said[1].place) == ((7, 7, 7), (2, 2, 2))


@pytest.mark.parametrize("place", ["north", 0.5, None])
def test_what_is_no_place_is_none(place):
    assert notes({"place": np.array([place, place])}) == {}


def test_what_is_no_number_is_no_reward_and_no_progress():
    infos = {
        "place": np.array([[1], [2]]), "reward_note": np.array(["well done", ""]), "progress": np.array(["a", "b"]),
        "reward_cash": np.array([2, 3]),
    }  # fmt: skip
    assert (notes(infos)[0].parts, notes(infos)[0].progress) == ({"cash": 2.0}, None)
