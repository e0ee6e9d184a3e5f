"""The map of where agents were: what is counted, how it is drawn, and that it goes on."""

import numpy as np

from hakisa_algos.training.exploration import ExplorationMap
from hakisa_algos.training.state_codec import decode, encode


def walked():
    seen = ExplorationMap()
    for step, place in enumerate([(0, 1, 5, 5), (0, 1, 6, 5), (0, 1, 5, 5), (0, 1, 5, 5), (2, 0, -3, 9)]):
        seen.add(place, step)
    return seen


def test_visits_and_first_steps_are_counted_by_map():
    seen = walked()
    assert (seen.maps, seen.tiles) == (2, 3)
    state = seen.state()
    assert state["maps"] == [[0, 1], [2, 0]]
    assert state["tiles"][0].tolist() == [[5, 5, 3, 0], [6, 5, 1, 1]]
    seen.add((7, 7), 9)  # which says no map
    assert seen.tiles == 3


def test_a_map_is_drawn_tile_by_tile_from_its_first_to_its_last():
    (one, first), (two, second) = walked().pictures("visits")
    assert (one, two) == ((0, 1), (2, 0))
    assert (first.shape, second.shape) == ((4, 8, 3), (4, 4, 3))
    often, once = first[0, 0], first[0, 4]
    assert (first[:, :4] == often).all()
    assert (second == once).all()
    assert often.sum() > once.sum()
    (_, late), (_, last) = walked().pictures("first")
    assert late[0, 0].sum() < late[0, 4].sum() < last[0, 0].sum()


def test_the_whole_picture_holds_every_map_and_its_name_whatever_their_number():
    assert walked().picture().ndim == 3
    assert ExplorationMap().picture().size > 0
    many = ExplorationMap()
    for number in range(200):
        for x in range(20):
            many.add((number // 7, number, x, number % 5), x)
    picture = many.picture()
    assert picture.shape[1] < 1100
    assert picture.shape[0] > 200


def test_it_goes_on_from_a_checkpoint():
    tensors, seen, other = {}, walked(), ExplorationMap()
    other.load_state(decode(encode(seen.state(), tensors), tensors))
    for each in (seen, other):
        each.add((0, 1, 5, 5), 10)
    assert (other.picture() == seen.picture()).all()
    assert np.array_equal(other.state()["tiles"][0], seen.state()["tiles"][0])
