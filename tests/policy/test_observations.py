"""Raw observations become what networks read: pictures channels first, stacks flat, doubles single."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.observations import (
    ObservationLayout,
    is_picture,
    map_observation,
    pick,
    same_observation,
    to_tensors,
)


def pictures(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


def batch_of(space, n=2):
    space.seed(0)
    return np.stack([space.sample() for _ in range(n)])


@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ((84, 80, 3), (3, 84, 80)),
        ((84, 80, 1), (1, 84, 80)),
        ((3, 84, 80), (3, 84, 80)),
        ((4, 84, 84), (4, 84, 84)),
        ((5, 84, 80, 3), (15, 84, 80)),
        ((4, 84, 80, 1), (4, 84, 80)),
        ((5, 3, 84, 80), (15, 84, 80)),
    ],
)
def test_pictures_come_channels_first_and_stacks_of_them_flat(shape, stored):
    space = pictures(*shape)
    layout = ObservationLayout(space)
    assert layout.space == pictures(*stored)
    raw = batch_of(space)
    encoded = layout.encode(raw)
    assert encoded.shape == (2, *stored)
    assert encoded.dtype == np.uint8
    last = shape[-1] < shape[-3]
    for c in range(stored[0]):
        if len(shape) == 3:
            frame = raw[:, ..., c] if last else raw[:, c]
        else:
            channels = shape[3] if last else shape[1]
            k, c_of = divmod(c, channels)
            frame = raw[:, k, ..., c_of] if last else raw[:, k, c_of]
        np.testing.assert_array_equal(encoded[:, c], frame)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (3,), np.float32),
        spaces.Box(-1, 1, (8, 8, 3), np.float32),
        spaces.Box(-np.inf, np.inf, (84, 84, 3), np.float32),
        pictures(128),
        pictures(10, 12),
        spaces.Box(0, 9, (2,), np.int64),
    ],
    ids=str,
)
def test_everything_else_keeps_its_shape_and_type(space):
    layout = ObservationLayout(space)
    assert layout.space is space
    raw = batch_of(space)
    np.testing.assert_array_equal(layout.encode(raw), raw)
    assert layout.encode(raw).dtype == space.dtype


def test_doubles_become_single():
    space = spaces.Box(-1, 1, (3,), np.float64)
    assert ObservationLayout(space).encode(batch_of(space)).dtype == np.float32


def test_bounds_of_each_entry_travel_with_it():
    low = np.arange(8 * 9 * 2, dtype=np.uint8).reshape(8, 9, 2)
    space = spaces.Box(low, low + 1, dtype=np.uint8)
    np.testing.assert_array_equal(ObservationLayout(space).encode(low[None]), np.zeros((1, 2, 8, 9)))
    raw = batch_of(space)
    np.testing.assert_array_equal(ObservationLayout(space).encode(raw), 255 * (raw - low).transpose(0, 3, 1, 2))


def test_dict_observations_by_key():
    space = spaces.Dict({"see": pictures(20, 30, 3), "feel": spaces.Box(-1, 1, (2,), np.float64)})
    layout = ObservationLayout(space)
    assert {k: s.shape for k, s in layout.space.items()} == {"see": (3, 20, 30), "feel": (2,)}
    raw = {key: batch_of(box) for key, box in space.items()}
    encoded = layout.encode(raw)
    np.testing.assert_array_equal(encoded["see"], raw["see"].transpose(0, 3, 1, 2))
    assert encoded["feel"].dtype == np.float32


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (spaces.Text(3), "observation"),
        (spaces.Tuple([spaces.Discrete(2)]), "observation"),
        (spaces.Dict({"mood": spaces.Tuple([spaces.Discrete(3)])}), "observation 'mood'"),
        (spaces.Dict({"mood": spaces.Dict({"a": pictures(3)})}), "observation 'mood'"),
    ],
    ids=str,
)
def test_other_spaces_are_refused(space, name):
    with pytest.raises(ConfigError, match=rf"^{name} space .* is not supported: .*Wrap the env.*--env module:Id"):
        ObservationLayout(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Dict({}), "a Dict without entries: there is nothing to see; add one"),
        (spaces.Dict({"": pictures(3)}), "the observation key '' has a meaning of its own here; rename it"),
        (spaces.Box(0, 1, (0,)), r"observation space Box\(.*\(0,\).* has no entries"),
        (spaces.Dict({"a": spaces.Box(0, 1, (3, 0))}), "observation 'a' space Box.* has no entries"),
    ],
    ids=str,
)
def test_spaces_of_nothing_are_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        ObservationLayout(space)


def test_whether_there_is_a_batch_axis():
    layout = ObservationLayout(pictures(20, 30, 3))
    assert not layout.is_batch(np.zeros((20, 30, 3)))
    assert layout.is_batch(np.zeros((5, 20, 30, 3)))
    with pytest.raises(ValueError, match=r"shape \(3, 20, 30\) does not fit: it needs \(20, 30, 3\)"):
        layout.is_batch(np.zeros((3, 20, 30)))
    keyed = ObservationLayout(spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Box(-1, 1, (3,))}))
    assert not keyed.is_batch({"a": np.zeros(2), "b": np.zeros(3)})
    assert keyed.is_batch({"a": np.zeros((4, 2)), "b": np.zeros((4, 3))})
    with pytest.raises(ValueError, match=r"\['a'\] does not fit: it needs the keys \['a', 'b'\]"):
        keyed.is_batch({"a": np.zeros(2)})
    with pytest.raises(ValueError, match="ndarray does not fit: it needs the keys"):
        keyed.is_batch(np.zeros(2))


def test_what_is_a_picture():
    assert is_picture(pictures(84, 84, 3))
    assert is_picture(pictures(4, 84, 84, 3))
    assert is_picture(pictures(7, 7, 3))
    assert is_picture(pictures(84, 84))
    assert is_picture(spaces.Box(0, 1, (84, 84, 3), np.float32))
    assert not is_picture(pictures(84))
    assert not is_picture(pictures(35, 84))  # a board
    assert not is_picture(spaces.Box(-np.inf, np.inf, (84, 84), np.float32))  # a table of measurements


def test_small_helpers():
    observation = {"a": np.array([[1.0], [2.0]]), "b": np.array([3, 4])}
    assert pick(observation, 1) == {"a": np.array([2.0]), "b": 4}
    assert map_observation(len, observation) == {"a": 2, "b": 2}
    assert map_observation(len, observation["a"]) == 2
    tensors = to_tensors(observation, torch.device("cpu"))
    assert torch.equal(tensors["a"], torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    assert same_observation(observation, {k: v.copy() for k, v in observation.items()})
    assert not same_observation(observation, observation | {"b": np.array([3, 5])})
