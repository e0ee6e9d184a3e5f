"""Observations are shown to networks by the bounds of their space, and stored in types that can be read again."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from hakisa_algos import Agent
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ga import GAConfig
from hakisa_algos.learners.ppo_config import A2CConfig, PPOConfig, REINFORCEConfig
from hakisa_algos.learners.pqn import PQNConfig
from hakisa_algos.policy.observations import ObservationLayout, map_observation, to_tensors
from hakisa_algos.policy.policy import ActorCritic
from tests.helpers.learning import assert_same

SMALL = {"num_envs": 2, "hidden_sizes": (8,)}
ROLLOUT = SMALL | {"n_steps": 8, "minibatch_size": 8}
CONFIGS = {
    "ppo": PPOConfig(**ROLLOUT),
    "a2c": A2CConfig(**ROLLOUT),
    "reinforce": REINFORCEConfig(**ROLLOUT),
    "pqn": PQNConfig(**ROLLOUT),
    "dqn": DQNConfig(**SMALL, learning_starts=8, train_every=8, gradient_steps=2, batch_size=4, buffer_size=64),
    "ga": GAConfig(num_envs=2, population=4, parents=2, candidates=1, validation_episodes=1),
}


class Showing(gym.Env):
    """Shows what its generator throws: of levels 0..``most``, which ``form`` turns into what it is to give."""

    action_space = spaces.Discrete(2)

    def __init__(self, space, most, form=lambda levels: levels, shape=None):
        self.observation_space, self.most, self.form = space, most, form
        self.shape = shape or space.shape

    def show(self):
        levels = self.np_random.integers(0, self.most, self.shape, endpoint=True)
        self.bright = levels.mean() > self.most / 2
        return np.asarray(self.form(levels), self.observation_space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.show(), {}

    def step(self, action):
        self.steps += 1
        reward = float(action == self.bright)
        return self.show(), reward, self.steps == 5, False, {}


# What each is learnt from must be the same as of its bytes from 0 to 255: space, highest level, form, shape of levels.
BY_SPACE = {
    "picture of 0 and 1": (spaces.Box(0, 1, (36, 36, 1), np.uint8), 1, lambda levels: levels),
    "picture of 0 to 3, small": (spaces.Box(0, 3, (20, 20, 1), np.uint8), 3, lambda levels: levels),
    "picture of 10 to 25, tiny": (spaces.Box(10, 25, (5, 5, 1), np.uint8), 15, lambda levels: 10 + levels),
    "vector of 0 and 1": (spaces.Box(0, 1, (6,), np.uint8), 1, lambda levels: levels),
    "vector of 7 to 12": (spaces.Box(7, 12, (6,), np.uint8), 5, lambda levels: 7 + levels),
    "picture of whole numbers": (spaces.Box(-3, 2, (36, 36, 1), np.int32), 5, lambda levels: levels - 3),
}


def weights_after(space, most, form, algorithm, **options):
    agent = Agent(Showing(space, most, form), CONFIGS[algorithm], algorithm=algorithm, seed=3, **options)
    agent.learn(40)
    return agent.policy.state_dict()


@pytest.mark.parametrize("algorithm", CONFIGS)
@pytest.mark.parametrize("kind", ["picture of 0 and 1", "vector of 7 to 12"])
def test_small_ranges_are_learnt_as_whole_ones_by_every_algorithm(kind, algorithm):
    space, most, form = BY_SPACE[kind]
    whole = spaces.Box(0, 255, space.shape, np.uint8)
    one = weights_after(space, most, form, algorithm)
    assert_same(one, weights_after(whole, most, lambda levels: levels * (255 // most), algorithm))


@pytest.mark.parametrize("kind", BY_SPACE)
def test_what_networks_see_is_the_space_stretched(kind):
    space, most, form = BY_SPACE[kind]
    layout = ObservationLayout(space)
    levels = np.random.default_rng(0).integers(0, most, (9, *space.shape), endpoint=True)
    encoded = layout.encode(form(levels).astype(space.dtype))
    assert layout.space.dtype == encoded.dtype == np.uint8
    assert (layout.space.low.max(), layout.space.high.min()) == (0, 255)
    np.testing.assert_array_equal(encoded.reshape(levels.shape), levels * (255 // most))


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, np.float32),
        (0, 255, np.float32),
        (-1, 1, np.float64),
        (0, 1, np.float16),
        (0, 1000, np.int32),
        (0, 65535, np.uint16),
    ],
)
@pytest.mark.parametrize("shape", [(40, 42, 3), (3, 40, 42), (2, 40, 42, 3), (40, 42)])
def test_pictures_of_other_numbers_become_0_to_1(low, high, dtype, shape):
    space = spaces.Box(low, high, shape, dtype)
    layout = ObservationLayout(space)
    space.seed(1)
    raw = np.stack([space.sample(), np.full(shape, low, dtype), np.full(shape, high, dtype)])
    encoded = layout.encode(raw)
    assert layout.space.dtype == encoded.dtype == np.float32
    assert encoded.shape[1:] == layout.space.shape == {2: (1, 40, 42), 3: (3, 40, 42), 4: (6, 40, 42)}[len(shape)]
    assert encoded[1].max() == 0
    np.testing.assert_allclose(encoded[2], 1, rtol=1e-6)
    np.testing.assert_allclose(encoded[0].sum(), ((raw[0].astype(float) - low) / (high - low)).sum(), rtol=1e-3)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_picture_of_floats_is_seen_as_that_of_bytes(normalize):
    levels = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3), endpoint=True)
    values = []
    for space in (spaces.Box(0, 255, (40, 40, 3), np.uint8), spaces.Box(0, 1, (40, 40, 3), np.float32)):
        torch.manual_seed(0)
        policy = ActorCritic(space, spaces.Discrete(2), normalize_observation=normalize)
        seen = to_tensors(policy.observation.encode((levels / 255 * space.high.max()).astype(space.dtype)), "cpu")
        values.append([policy.value(seen)])
        if normalize:
            policy.normalizer.update(seen)
            values[-1].append(policy.value(seen))
    for of_bytes, of_floats in zip(*values, strict=True):
        torch.testing.assert_close(of_bytes, of_floats, rtol=1e-4, atol=1e-5)


def test_a_picture_without_channels_is_one_with_a_single_one():
    flat, single = (ObservationLayout(spaces.Box(0, 255, (84, 84, *c), np.uint8)) for c in ((), (1,)))
    assert flat.space == single.space
    raw = np.random.default_rng(0).integers(0, 255, (2, 84, 84), np.uint8)
    np.testing.assert_array_equal(flat.encode(raw), single.encode(raw[..., None]))
    assert not flat.is_batch(raw[0])
    assert flat.is_batch(raw)


def test_what_looks_like_a_picture_and_is_taken_for_none_is_said(caplog):
    unbounded = spaces.Box(-np.inf, np.inf, (84, 84, 3), np.float32)
    for space in (unbounded, spaces.Dict({"eye": unbounded, "feel": spaces.Box(-1, 1, (84,))})):
        caplog.clear()
        ActorCritic(space, spaces.Discrete(2), hidden_sizes=(2,))
        (said,) = caplog.messages
        assert "has the shape of a picture, but not its bounds" in said
        assert 'network="mlp"' in said
        assert ("'eye'" in said) == isinstance(space, spaces.Dict)
    caplog.clear()
    ActorCritic(unbounded, spaces.Discrete(2), hidden_sizes=(2,), network="mlp")
    ActorCritic(spaces.Box(-np.inf, np.inf, (20, 84), np.float32), spaces.Discrete(2))
    assert not caplog.messages


@pytest.mark.parametrize("key", [None, "see"])
@pytest.mark.parametrize(
    ("space", "given", "message"),
    [
        (
            spaces.Box(0, 1, (36, 36, 1), np.uint8),
            np.full((36, 36, 1), 7, np.uint8),
            "holds values from 7 to 7, but its",
        ),
        (
            spaces.Box(3, 9, (4,), np.uint8),
            np.full(4, 2, np.uint8),
            "holds values from 2 to 2, but its space says 3 to 9",
        ),
        (spaces.Box(-1, 1, (4,)), np.zeros(5), r"has the shape \(5,\), but its space says \(4,\)"),
        (spaces.Box(0, 255, (4,), np.uint8), np.full(4, 0.5), "holds float64 numbers that uint8"),
        (spaces.Box(0, 255, (4,), np.uint8), np.full(4, np.nan), "holds float64 numbers that uint8"),
        (spaces.Box(-1, 1, (1,)), np.array(["a"]), "is of type <U1, but its space says float32"),
        (spaces.Discrete(3), np.array(3), r"holds \[3\], of which not all are in its space, Discrete\(3\)"),
        (spaces.MultiDiscrete([2, 3]), np.array([1, -1]), r"holds \[\[1, -1\]\], of which not all"),
        (spaces.Discrete(3), np.zeros(2), r"is float64 of shape \(2,\); its space says Discrete\(3\)"),
    ],
)
def test_what_is_not_of_the_space_is_refused_by_name(key, space, given, message):
    layout = ObservationLayout(spaces.Dict({key: space, "b": spaces.Box(0, 1, (1,))}) if key else space)
    raw = {key: given[None], "b": np.zeros((1, 1))} if key else given[None]
    with pytest.raises(ConfigError, match=("observation 'see' " if key else "observation ") + message):
        layout.encode(raw)


@pytest.mark.parametrize(
    ("space", "given", "refused"),
    [
        (spaces.Box(0, 1, (40, 40), np.float32), 255.0, True),
        (spaces.Box(0, 1, (40, 40), np.float64), -1.1, True),
        (spaces.Box(0, 1, (40, 40), np.float16), 2.1, True),
        (spaces.Box(-1, 1, (3, 36, 36), np.float32), 3.5, True),
        (spaces.Box(0, 1, (40, 40), np.float32), 1.3, False),  # noise
        (spaces.Box(0, 1, (40, 40), np.float32), -0.2, False),
        (spaces.Box(0, 1, (5,), np.float32), 255.0, False),  # no picture: the normaliser's business
    ],
)
def test_a_picture_of_floats_far_outside_its_bounds_is_refused(space, given, refused):
    layout, picture = ObservationLayout(space), np.full((2, *space.shape), 0.5, space.dtype)
    picture[1].flat[-1] = given
    if refused:
        with pytest.raises(ConfigError, match=r"holds values from .* by which it is scaled; mend the bounds"):
            layout.encode(picture)
    else:
        layout.encode(picture)


def test_a_dict_that_lacks_a_key_is_refused():
    layout = ObservationLayout(spaces.Dict({"a": spaces.Box(0, 1, (1,)), "b": spaces.Box(0, 1, (1,))}))
    with pytest.raises(ConfigError, match=r"the observation is \['a', 'c'\]; its space is a Dict of \['a', 'b'\]"):
        layout.encode({"a": np.zeros((1, 1)), "c": 0})
    with pytest.raises(ConfigError, match="the observation is ndarray"):
        layout.encode(np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("space", "raw", "encoded"),
    [
        (spaces.Discrete(3, start=5), [5, 7], [[1, 0, 0], [0, 0, 1]]),
        (spaces.MultiDiscrete([2, 3]), [[1, 0], [0, 2]], [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]),
        (spaces.MultiDiscrete([[2], [2]], start=[[1], [0]]), [[[1], [1]]], [[1, 0, 0, 1]]),
        (spaces.MultiBinary(3), [[1, 0, 1]], [[1, 0, 1]]),
    ],
)
def test_choices_become_one_hot(space, raw, encoded):
    for each, given in ((space, np.array(raw)), (spaces.Dict({"a": space}), {"a": np.array(raw)})):
        layout = ObservationLayout(each)
        found = layout.encode(given)
        np.testing.assert_array_equal(found["a"] if each is not space else found, 255 * np.array(encoded))
        assert layout.is_batch(given)
        assert not layout.is_batch(map_observation(lambda x: x[0], given))


WHOLE = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
TYPES = ["bool", *WHOLE, "float16", "float64", "longdouble", ">f4", ">u2"]


@pytest.mark.parametrize(("algorithm", "dtype"), [("ppo", "uint32"), *(("dqn", kind) for kind in TYPES)])
def test_every_type_of_numbers_that_is_trained_on_can_be_resumed(dtype, algorithm, tmp_path):
    """Both from what is stored and from what is played again."""
    space = spaces.Box(0, 1 if dtype == "bool" else 100, (3,), np.dtype(dtype).newbyteorder("="))
    space.dtype = np.dtype(dtype)

    def make():
        return Showing(space, 1 if dtype == "bool" else 100)

    whole, half = (Agent(make, CONFIGS[algorithm], algorithm=algorithm, seed=3) for _ in range(2))
    whole.learn(96)
    half.learn(96, run=tmp_path / "run", callbacks=[lambda trainer, metrics: trainer.step < 48])
    half.close()
    again = Agent.load(tmp_path / "run", make).learn(96)
    assert_same(again.policy.state_dict(), whole.policy.state_dict())
    action, _ = again.predict(make().reset(seed=0)[0])
    assert space.contains(np.zeros(3, space.dtype))
    assert action in (0, 1)


def test_a_shape_that_changes_is_an_error_of_prediction_too():
    agent = Agent("CartPole-v1", CONFIGS["ppo"], algorithm="ppo")
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit: it needs \(4,\)"):
        agent.predict(np.zeros(3))
