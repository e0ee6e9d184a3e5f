"""Networks by name, of the user's own, and one per key; and what cannot be built says why."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hakisa_algos.errors import ConfigError
from hakisa_algos.policy.networks import CNN, MLP, DictEncoder, SpatialCNN, build_network, first_of, width
from hakisa_algos.policy.policy import ActorCritic
from hakisa_algos.policy.q_network import QNetwork

VECTOR = spaces.Box(-1, 1, (5,), np.float32)
PICTURE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
SMALL_PICTURE = spaces.Box(0, 255, (2, 42, 42), np.uint8)


def pictures(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


class Own(nn.Module):
    def __init__(self, space, features=7):
        super().__init__()
        self.features = features
        self.layer = nn.Linear(int(np.prod(space.shape)), features or 1)

    def forward(self, observation):
        return self.layer(observation.flatten(1).float())


@pytest.mark.parametrize(
    ("name", "space", "kind", "features"),
    [
        ("auto", VECTOR, MLP, 32),
        ("auto", PICTURE, CNN, 512),
        ("auto", spaces.Box(0, 255, (128,), np.uint8), MLP, 32),
        ("mlp", PICTURE, MLP, 32),
        ("nature", PICTURE, CNN, 512),
        ("small", SMALL_PICTURE, CNN, 256),
        ("spatial", SMALL_PICTURE, SpatialCNN, 8 * (6 + 6 + 32)),
        (Own, VECTOR, Own, 7),
    ],
)
def test_names_and_callables(name, space, kind, features):
    network = build_network(space, name, hidden_sizes=(16, 32))
    assert type(network) is kind
    assert width(network) == features
    batch = torch.from_numpy(np.stack([space.sample() for _ in range(3)]))
    assert network(batch).shape == (3, features)


def test_the_nature_network_is_the_published_one():
    shapes = [tuple(p.shape) for p in build_network(PICTURE, "nature").parameters() if p.dim() > 1]
    assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136)]


def test_the_small_network_does_a_tenth_of_the_work():
    def multiplications(network, space):
        count = 0

        def hook(module, _, output):
            nonlocal count
            per_output = module.weight[0].numel()
            count += per_output * output[0].numel()

        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(hook)
        network(torch.zeros(1, *space.shape, dtype=torch.uint8))
        return count

    small = multiplications(build_network(SMALL_PICTURE, "small"), SMALL_PICTURE)
    assert small < 0.15 * multiplications(build_network(PICTURE, "nature"), PICTURE)


def test_an_mlp_has_the_asked_layers():
    network = build_network(VECTOR, "mlp", hidden_sizes=(3,), activation="relu")
    kinds = [type(layer) for layer in network.layers]
    assert kinds == [nn.Linear, nn.ReLU]
    assert network(torch.randn(9, 5)).min() == 0
    empty = build_network(VECTOR, "mlp", hidden_sizes=())
    assert width(empty) == 5


@pytest.mark.parametrize("network", ["mlp", "nature", "small", "spatial"])
def test_bytes_are_scaled_to_0_to_1(network):
    built = build_network(PICTURE, network)
    first = next(module for module in built.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    seen = []
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    built(torch.full((1, 4, 84, 84), 255, dtype=torch.uint8))
    torch.testing.assert_close(seen[0], torch.ones_like(seen[0]))


@pytest.mark.parametrize("network", ["nature", "small", "spatial"])
def test_the_memory_format_of_a_picture_does_not_matter(network):
    built = build_network(PICTURE, network).eval()
    pictures = torch.randint(256, (3, 4, 84, 84), dtype=torch.uint8)
    other = pictures.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(built(pictures), built(other))


def test_a_dict_space_gets_an_encoder_per_key():
    space = spaces.Dict({"see.left": PICTURE, "feel": VECTOR, "ram": spaces.Box(0, 255, (8,), np.uint8)})
    network = build_network(space, hidden_sizes=(16,))
    assert isinstance(network, DictEncoder)
    assert network.features == 512 + 16 + 16
    batch = {k: torch.from_numpy(np.stack([box.sample() for _ in range(3)])) for k, box in space.items()}
    features = network(batch)
    assert features.shape == (3, 544)
    for key in space:
        changed = network(batch | {key: batch[key].roll(1, 0)})
        assert not torch.equal(changed, features), key


def test_a_dict_space_can_have_a_network_of_the_users_own():
    class Both(nn.Module):
        features = 2

        def forward(self, observation):
            return torch.cat([observation["a"], observation["b"]], 1)

    space = spaces.Dict({"a": spaces.Box(-1, 1, (1,)), "b": spaces.Box(-1, 1, (1,))})
    policy = ActorCritic(space, spaces.Discrete(2), network=lambda _: Both())
    distribution, value = policy({"a": torch.zeros(3, 1), "b": torch.ones(3, 1)})
    assert value.shape == (3,)
    assert distribution.mode().shape == (3,)


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (VECTOR, {"network": "natur"}, "unknown network 'natur'. Did you mean 'nature'"),
        (VECTOR, {"activation": "tahn"}, "unknown activation 'tahn'. Did you mean 'tanh'"),
        (VECTOR, {"network": "nature"}, "network='nature' needs uint8 pictures.*use network=\"mlp\""),
        (pictures(3, 20, 30), {"network": "nature"}, 'too small for this network; use network="small".* or "mlp"'),
        (pictures(3, 19, 40), {"network": "nature"}, '19 x 40 are too small for this network; use network="mlp"'),
        (VECTOR, {"network": "spatial"}, "network='spatial' needs uint8 pictures.*use network=\"mlp\""),
        (
            pictures(3, 31, 40),
            {"network": "spatial"},
            '31 x 40 are too small for network="spatial".*use network="small"',
        ),
        (pictures(3, 7, 7), {"network": "small"}, '7 x 7 are too small for this network; use network="mlp"'),
    ],
)
def test_what_cannot_be_built_says_why(space, options, message):
    with pytest.raises(ConfigError, match=message):
        build_network(space, **options)


@pytest.mark.parametrize("features", [None, 7.0], ids=["missing", "not an integer"])
def test_an_own_network_without_features_is_refused(features):
    def make(space):
        network = Own(space)
        if features is None:
            del network.features
        else:
            network.features = features
        return network

    with pytest.raises(ConfigError, match=r"the network Own has no integer attribute \.features"):
        ActorCritic(VECTOR, spaces.Discrete(2), network=make)


@pytest.mark.parametrize(
    ("sides", "kind"),
    [((7, 7), "mlp"), ((19, 60), "mlp"), ((20, 60), "small"), ((35, 35), "small"), ((36, 36), "nature")],
)
def test_pictures_of_any_size_get_a_network_that_fits(sides, kind):
    space = pictures(3, *sides)
    shapes = [[p.shape for p in build_network(space, name).parameters()] for name in ("auto", kind)]
    assert shapes[0] == shapes[1]


def test_a_spatial_network_says_in_which_column_and_row_something_is():
    network = build_network(pictures(1, 40, 64), "spatial")
    *_, likes = network.attend
    logits = torch.full((2, 8, 5, 8), -20.0)
    logits[:, :, 3, 6] = 20.0
    likes.forward = lambda seen: logits
    columns, rows, _ = network(torch.zeros(2, 1, 40, 64, dtype=torch.uint8)).view(2, 8, -1).split([8, 5, 32], 2)
    assert (columns.argmax(2) == 6).all()
    assert (rows.argmax(2) == 3).all()


def test_of_several_places_a_spatial_network_names_the_first_or_the_last():
    network = build_network(pictures(1, 40, 64), "spatial")
    *_, likes = network.attend
    logits = torch.full((1, 8, 5, 8), -20.0)
    logits[:, :, 1, 5:] = logits[:, :, 3, 2:4] = 20.0
    likes.forward = lambda seen: logits
    columns, rows, _ = network(torch.zeros(1, 1, 40, 64, dtype=torch.uint8)).view(8, -1).split([8, 5, 32], 1)
    assert columns.argmax(1).tolist() == [5] * 4 + [3] * 4
    assert rows.argmax(1).tolist() == [1] * 4 + [3] * 4


def test_the_share_of_being_first_is_that_of_one_after_the_other():
    logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    chance, nowhere_yet, expected = logits.sigmoid(), torch.ones(3, dtype=torch.float64), []
    for place in range(7):
        expected.append(chance[:, place] * nowhere_yet)
        nowhere_yet = nowhere_yet * (1 - chance[:, place])
    torch.testing.assert_close(first_of(logits), torch.stack(expected, 1))
    # Neither certainty nor its opposite makes a number that is none.
    sharp = torch.tensor([[1e4, 1e4, -1e4]], requires_grad=True)
    first_of(sharp).sum().backward()
    assert torch.isfinite(sharp.grad).all()
    assert first_of(sharp).tolist() == [[1.0, 0.0, 0.0]]


def test_a_spatial_network_computes_its_maps_in_full_precision():
    network = build_network(pictures(3, 40, 64), "spatial").eval()
    seen = torch.randint(256, (2, 3, 40, 64), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(seen)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, network(seen), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("make", [ActorCritic, QNetwork])
@pytest.mark.parametrize("bf16", [False, True])
def test_policies_take_the_spatial_network(make, bf16):
    space = spaces.Dict({"screen": spaces.Box(0, 255, (40, 32, 3), np.uint8), "feel": VECTOR})
    memory = {"memory": "lstm"} if make is ActorCritic else {}
    policy = make(space, spaces.MultiDiscrete([2, 4, 5]), network="spatial", bf16=bf16, **memory)
    seen = {"screen": torch.randint(256, (2, 3, 40, 32), dtype=torch.uint8), "feel": torch.randn(2, 5)}
    assert policy.act(seen, policy.initial_state(2), False, None).action.shape == (2, 3)


def test_small_pictures_go_through_the_small_network():
    space = pictures(3, 20, 20)
    assert build_network(space, "small")(torch.zeros(1, 3, 20, 20, dtype=torch.uint8)).shape == (1, 256)
