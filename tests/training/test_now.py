"""``now.png``: what all envs of a run show now, whole at every moment, and no burden."""

import cv2
import numpy as np
import pytest

from hakisa_algos import PPO, PPOConfig
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.errors import ConfigError
from hakisa_algos.training.now import newest_frames, tiled
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.pictures import png

CONFIG = PPOConfig(num_envs=3, n_steps=8, epochs=1, minibatch_size=24, total_steps=24 * 6)


def decoded(path):
    picture = cv2.imread(str(path))
    assert picture is not None, "torn"
    return picture[..., ::-1]


def learn(tmp_path, env, seen=None, **options):
    """A short run whose folder is looked at after every update."""

    def look(trainer, metrics):
        path = tmp_path / "run" / "now.png"
        if seen is not None and path.exists():
            seen.append(decoded(path))

    agent = PPO(env, CONFIG, env_options=options.pop("env_options", {}))
    agent.learn(run=tmp_path / "run", callbacks=[look], **options)
    agent.close()
    return tmp_path / "run" / "now.png"


def test_pictures_are_shown_side_by_side_and_are_whole_whenever_one_looks(tmp_path):
    seen = []
    path = learn(tmp_path, "Hakisa/Press-v0", seen, env_options={"observation": "pixels"}, picture_every=1e-9)
    assert decoded(path).shape == (2 * (4 * 48 + 2) - 2, 2 * (4 * 48 + 2) - 2, 3)
    assert len({picture.tobytes() for picture in seen}) > 1
    assert [each.name for each in path.parent.glob(".tmp-*")] == []


def test_what_cannot_be_seen_is_drawn_where_it_is_asked_for_and_else_nothing_is_written(tmp_path):
    assert not learn(tmp_path / "a", "CartPole-v1").exists()
    path = learn(tmp_path / "b", "CartPole-v1", env_options={"render_mode": "rgb_array"})
    assert decoded(path).std() > 0


def test_it_can_be_left_out(tmp_path):
    options = {"env_options": {"observation": "pixels"}}
    assert not learn(tmp_path, "Hakisa/Press-v0", **options, picture_every=0).exists()
    with pytest.raises(ConfigError, match="picture_every=-1"):
        RunOptions(picture_every=-1)


def test_it_changes_nothing(tmp_path):
    def weights(every):
        agent = PPO("CartPole-v1", CONFIG, env_options={"render_mode": "rgb_array"}, seed=3)
        agent.learn(run=tmp_path / f"{every}", picture_every=every)
        agent.close()
        return [tensor.numpy().tobytes() for tensor in agent.policy.state_dict().values()]

    assert weights(1e-9) == weights(0)


@pytest.mark.parametrize(
    ("shape", "stack", "newest"),
    [
        ((1, 5, 6), None, [0]),
        ((3, 5, 6), None, [0, 1, 2]),
        ((4, 5, 6), FrameStack(0, 4, "reset"), [3]),
        ((4, 5, 6), None, [3]),  # four grey frames, undeclared
        ((6, 5, 6), FrameStack(0, 2, "zero"), [3, 4, 5]),
        ((3, 5, 6), FrameStack(0, 3, "zero"), [2]),
    ],
)
def test_the_newest_frame_of_a_stack(shape, stack, newest):
    batch = np.random.default_rng(0).integers(256, size=(2, *shape), dtype=np.uint8)
    wanted = np.broadcast_to(np.moveaxis(batch[:, newest], 1, -1), (2, 5, 6, 3))
    found = newest_frames({"ram": np.zeros((2, 7), np.float32), "pixels": batch}, stack)
    assert (np.stack(found) == wanted).all()
    batch[:] = 0  # they are copies
    assert np.stack(found).any()


def test_what_is_no_picture_has_no_frames():
    assert newest_frames(None, None) is None
    assert newest_frames(np.zeros((2, 4), np.float32), None) is None
    assert newest_frames(np.zeros((2, 4, 5, 6), np.float32), None) is None


@pytest.mark.parametrize(("size", "count"), [((84, 84), 8), ((1080, 1920), 2), ((3, 5), 1), ((210, 160), 64)])
def test_the_whole_is_neither_tiny_nor_huge(size, count):
    whole = tiled([np.full((*size, 3), 1 + index, np.uint8) for index in range(count)])
    assert whole.shape[0] <= 1000 + 4 * count
    assert set(np.unique(whole)) >= set(range(1, count + 1))  # every env is there


def test_a_png_is_what_others_read():
    picture = np.random.default_rng(1).integers(256, size=(7, 5, 3), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert (read[..., ::-1] == picture).all()
