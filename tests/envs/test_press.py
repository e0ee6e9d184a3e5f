"""Press: its rules, its optimum, and that the vector environment is the single one in columns."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hakisa_envs import UnknownOptionError
from hakisa_envs.press import PressEnv, PressVectorEnv

SMALL = {"num_keys": 5, "grid_size": 4, "episode_length": 6}


def answer_to_vector(observation, num_keys=12, grid_size=12):
    command, key, x, y = np.split(observation, np.cumsum([3, num_keys, grid_size]))
    return np.array([command.argmax(), (key if key.any() else x).argmax(), y.argmax()])


def answer_to_pixels(observation, num_keys=12, grid_size=12):
    picture = observation[..., 0]
    rows, columns = np.nonzero(picture)
    if not len(rows):
        return np.array([0, 0, 0])
    side, (row, column) = len(picture), (rows.mean(), columns.mean())
    if picture.max() == 255:
        return np.array([2, column * grid_size // side, row * grid_size // side]).astype(np.int64)
    return np.array([1, column * num_keys // side, 0]).astype(np.int64)


@pytest.mark.parametrize(("observation", "player"), [("vector", answer_to_vector), ("pixels", answer_to_pixels)])
def test_a_player_who_reads_the_observation_reaches_the_optimum(observation, player):
    env = PressEnv(observation=observation)
    seen, total = env.reset(seed=0)[0], 0.0
    for step in range(32):
        seen, reward, terminated, truncated, _ = env.step(player(seen))
        total += reward
        assert terminated == (step == 31)
        assert not truncated
    assert total == env.optimum == 32.0
    assert not seen.any()


def test_no_action_pays_more_than_1_and_what_it_pays_is_as_documented():
    env = PressEnv(**SMALL, wrong_cost=0.2)
    game = env.game
    every = np.stack(np.meshgrid(*map(np.arange, env.action_space.nvec), indexing="ij"), -1).reshape(-1, 3)
    chosen = env.action_space.canonical(every)
    for target in range(game.nothing):
        rewards = game.rewards(np.full(len(chosen), target), chosen)
        assert rewards.max() == 1.0
        right = (chosen == game.answers[target]).all(1)
        assert (rewards[right] == 1.0).all()
        assert (rewards[chosen[:, 0] != game.answers[target][0]] == 0.0).all()
        assert (rewards[~right] < 0.5).all()
    click = 1 + game.num_keys  # at x=0, y=0
    tries = np.array([[2, 0, 0], [2, 1, 0], [2, 1, 1]])
    assert game.rewards(np.full(3, click), tries) == pytest.approx([1.0, 0.4, -0.2])
    assert game.rewards(np.array([1]), np.array([[1, 1, 0]])) == pytest.approx([-0.2])


def test_irrelevant_and_wrapped_arguments_are_answers_too():
    env = PressEnv(**SMALL)
    env.reset(seed=1)
    twin = PressEnv(**SMALL)
    twin.reset(seed=1)
    for target in env._targets[:-1]:
        answer = env.game.answers[target]
        noisy = answer.copy()
        noisy[1:][env.action_space.sizes[answer[0]] == 0] = 3
        if answer[0] == 2 and answer[1] == 0:
            noisy[1] = 4  # four columns: the fifth value wraps to the first
        assert env.step(noisy)[1] == twin.step(answer)[1] == 1.0


def test_all_three_kinds_of_target_come_equally_often():
    game = PressEnv(episode_length=3000).game
    kinds = game.answers[game.draw_targets(np.random.default_rng(0))[:-1], 0]
    assert np.abs(np.bincount(kinds) - 1000).max() < 150


def test_every_target_looks_different():
    for observation in ("vector", "pixels"):
        seen = PressEnv(observation=observation).game.observations[:-1]
        assert len(np.unique(seen.reshape(len(seen), -1), axis=0)) == len(seen) == 1 + 12 + 144


def test_stepping_past_the_end_and_bad_actions_are_errors():
    env = PressEnv(**SMALL)
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step([0, 0, 0])
    env.reset(seed=0)
    for action in ([3, 0, 0], [0, 0], [0.5, 0, 0]):
        with pytest.raises(ValueError, match=r"Commands|must be integers"):
            env.step(action)
    for _ in range(6):
        env.step([0, 0, 0])
    with pytest.raises(gym.error.ResetNeeded):
        env.step([0, 0, 0])


def test_render_shows_the_target():
    env = PressEnv(render_mode="ansi", **SMALL)
    env.reset(seed=0)
    words = {env.game.describe(target) for target in range(env.game.nothing + 1)}
    assert len(words) == env.game.nothing + 1
    assert env.render() == env.game.describe(env._targets[0])
    frame = PressEnv(render_mode="rgb_array").game.frame(1)
    assert frame.shape == (192, 192, 3)
    assert frame.dtype == np.uint8


@pytest.mark.parametrize("make", [PressEnv, PressVectorEnv])
def test_wrong_options_are_named(make):
    with pytest.raises(UnknownOptionError, match=r"'grid'.*did you mean 'grid_size'"):
        make(grid=3)
    with pytest.raises(ValueError, match=r"num_keys=0 .*from 1 to 32"):
        make(num_keys=0)
    with pytest.raises(ValueError, match=r"observation='picture' .*'vector' or 'pixels'"):
        make(observation="picture")
    with pytest.raises(ValueError, match=r"wrong_cost=nan"):
        make(wrong_cost=float("nan"))
    with pytest.raises(ValueError, match=r"render_mode='human'"):
        make(render_mode="human")


def vector_and_columns(num_envs, mode, **options):
    vector = PressVectorEnv(num_envs, autoreset_mode=mode, **options)
    columns = SyncVectorEnv([lambda: PressEnv(**options)] * num_envs, autoreset_mode=mode)
    return vector, columns


def assert_same(ours, theirs):
    for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("observation", ["vector", "pixels"])
def test_vector_equals_single_with_next_step_autoreset(observation):
    vector, columns = vector_and_columns(
        3, AutoresetMode.NEXT_STEP, observation=observation, episode_length=4, num_keys=3, grid_size=9
    )
    assert vector.single_action_space == columns.single_action_space
    assert vector.observation_space == columns.observation_space
    assert vector.metadata == {**columns.metadata, "masked_reset": True}
    assert_same(vector.reset(seed=5), columns.reset(seed=5))
    vector.action_space.seed(0)
    for step in range(23):
        if step == 10:  # in mid-episode: the columns are then out of step with one another
            mask = np.array([False, True, False])
            assert_same(
                vector.reset(seed=[1, 2, 3], options={"reset_mask": mask}),
                columns.reset(seed=[1, 2, 3], options={"reset_mask": mask}),
            )
        actions = vector.action_space.sample()
        assert_same(vector.step(actions), columns.step(actions))


def test_vector_equals_single_with_masked_reset_and_no_autoreset():
    vector, columns = vector_and_columns(2, "Disabled", **SMALL)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert_same(vector.reset(seed=[7, 9]), columns.reset(seed=[7, 9]))
    vector.action_space.seed(0)
    for episode in range(3):
        for _ in range(6):
            actions = vector.action_space.sample()
            outcome = vector.step(actions)
            assert_same(outcome, columns.step(actions))
        assert outcome[2].all()
        with pytest.raises(ValueError, match=r"columns \[0, 1\] are over"):
            vector.step(actions)
        seeds, mask = [episode, None], np.array([True, True])
        assert_same(
            vector.reset(seed=seeds, options={"reset_mask": mask}),
            columns.reset(seed=seeds, options={"reset_mask": mask}),
        )


def test_masked_reset_before_the_autoreset_leaves_no_autoreset_row():
    vector = PressVectorEnv(2, **SMALL)
    vector.reset(seed=0)
    for _ in range(6):
        _, _, done, _, _ = vector.step(np.zeros((2, 3), dtype=np.int64))
    assert done.all()
    first, _ = vector.reset(seed=np.array([4, 4]), options={"reset_mask": done})
    np.testing.assert_array_equal(first[0], PressEnv(**SMALL).reset(seed=4)[0])
    answers = np.stack([answer_to_vector(each, 5, 4) for each in first])
    assert (vector.step(answers)[1] == 1.0).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": [1, 2]}, ValueError, "Got 2 seeds"),
        ({"seed": -1}, ValueError, "negative"),
        ({"options": {"reset_mask": [True, False, True]}}, TypeError, "NumPy array of bool"),
        ({"options": {"reset_mask": np.zeros(3, dtype=bool)}}, ValueError, "at least one True"),
        ({"options": {"reset_mask": np.ones(2, dtype=bool)}}, ValueError, "shape"),
    ],
)
def test_malformed_resets_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PressVectorEnv(3).reset(**arguments)


def test_seeds_may_be_given_for_reset_columns_only():
    vector = PressVectorEnv(3)
    vector.reset(seed=0)
    mask = np.array([True, False, True])
    by_column, _ = vector.reset(seed=[8, 1, 9], options={"reset_mask": mask})
    in_order, _ = vector.reset(seed=np.array([8, 9]), options={"reset_mask": mask})
    np.testing.assert_array_equal(by_column, in_order)


def played(env, rows):
    """So many rows of random answers, with what autoreset or a reset brings between episodes."""
    env.action_space.seed(3)
    found = []
    for _ in range(rows):
        *arrays, _ = env.step(env.action_space.sample())
        found.append([np.asarray(array).tolist() for array in arrays])
        if not isinstance(env, PressVectorEnv) and arrays[2]:
            found.append(env.reset()[0].tolist())
    return found


@pytest.mark.parametrize("make", [PressEnv, lambda **options: PressVectorEnv(3, **options)])
def test_a_state_goes_on_as_it_did_the_first_time_in_an_env_that_was_never_reset(make):
    env, other = make(**SMALL), make(**SMALL)
    env.reset(seed=5)
    played(env, 8)  # into the second episode
    state = env.get_state()
    expected = played(env, 20)
    other.set_state(state)
    assert played(other, 20) == expected
    env.set_state(state)
    assert played(env, 20) == expected


def test_states_of_columns_are_those_of_single_envs():
    vector, single = PressVectorEnv(2, **SMALL), PressEnv(**SMALL)
    vector.reset(seed=[8, 9])
    vector.step(np.zeros((2, 3), dtype=np.int64))
    single.set_state(vector.get_state()[1])
    second = PressEnv(**SMALL)
    second.reset(seed=9)
    second.step(np.zeros(3, dtype=np.int64))
    assert played(single, 20) == played(second, 20)
    vector.set_state([second.get_state()] * 2)
    assert [state["position"] for state in vector.get_state()] == [second.get_state()["position"]] * 2


@pytest.mark.parametrize("make", [PressEnv, lambda **options: PressVectorEnv(1, **options)])
def test_a_state_is_made_before_the_first_reset_and_is_not_changed_later(make):
    env = make(**SMALL)
    fresh = env.get_state()
    env.reset(seed=1)
    state = env.get_state()
    kept = copy.deepcopy(state)
    played(env, 20)
    assert str(state) == str(kept)
    env.set_state(fresh)
    assert str(env.get_state()) == str(fresh)


@pytest.mark.parametrize("options", [{"episode_length": 7}, {"num_keys": 6}, {"grid_size": 3}])
def test_a_state_of_other_options_is_refused(options):
    env, other = PressEnv(**SMALL), PressEnv(**{**SMALL, **options})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="make it with the options that it had then"):
        other.set_state(env.get_state())
    with pytest.raises(ValueError, match="1 states for 2 columns"):
        PressVectorEnv(2, **SMALL).set_state([env.get_state()])
