"""Pong: the single environment is ale-py's vector environment, option by option, and what we add to both."""

import gymnasium as gym
import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hakisa_envs import UnknownOptionError
from hakisa_envs.atari import PongEnv, make_pong_vec
from hakisa_envs.atari.options import outcome

SEEDS = [3, 0, 2**40 + 3]
SMALL = {"frame_size": 24, "frame_stack": 2}


def random_actions(steps, num_envs, seed=0):
    return np.random.default_rng(seed).integers(0, 6, size=(steps, num_envs))


def assert_same(ours, theirs):
    """Compare all but the infos, which Gymnasium's vector environment lays out differently."""
    for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_array_equal(mine, other)


def follow_ball(env):
    """Play a frame of a decent game, from memory: 54 is the ball's height, 51 the paddle's."""
    ram = env.ale.getRAM()
    ball, paddle = int(ram[54]), int(ram[51]) + 4
    if ball == 0:
        return 0
    return 2 if paddle > ball else 3


def test_equals_ale_py_frame_for_frame_over_whole_games():
    theirs = AtariVectorEnv("pong", 1, noop_max=0, reward_clipping=False, num_threads=1)
    ours = PongEnv(noop_max=0)
    batch, _ = theirs.reset(seed=1)
    observation, _ = ours.reset(seed=1)
    np.testing.assert_array_equal(observation, batch[0])
    assert not observation[:3].any()
    done, total = False, 0.0
    for (action,) in random_actions(2000, 1):
        observation, reward, done, truncated, info = ours.step(action)
        batch, rewards, terminations, _, infos = theirs.step(np.array([action]))
        np.testing.assert_array_equal(observation, batch[0])
        assert (reward, done, truncated) == (rewards[0], terminations[0], False)
        assert info.pop("outcome") == ("win" if total + reward > 0 else "loss" if total + reward < 0 else "draw")
        assert info == {name: infos[name][0] for name in info}
        total += reward
        if done:
            break
    assert done
    assert -21 <= total <= -15


@pytest.mark.parametrize(
    "options",
    [
        {"noop_max": 0},
        {},
        {"sticky": 0.25},
        {"sticky": 0.25, "frame_skip": 3, "frame_size": 42, "frame_stack": 2, "noop_max": 7},
        {"frame_skip": 1, "frame_stack": 1},
    ],
)
def test_vector_equals_single_for_any_seed_and_past_the_time_limit(options):
    limit, steps = 60, 100
    vector = gym.make_vec("Hakisa/Pong-v0", 3, num_threads=1, max_episode_steps=limit, **options)
    columns = gym.vector.SyncVectorEnv([lambda: gym.make("Hakisa/Pong-v0", max_episode_steps=limit, **options)] * 3)
    assert_same(vector.reset(seed=SEEDS), columns.reset(seed=SEEDS))
    for step, actions in enumerate(random_actions(steps, 3)):
        if step == 20:
            mask = np.array([True, False, True])
            again = {"seed": [5, 6, 7], "options": {"reset_mask": mask}}
            assert_same(vector.reset(**again), columns.reset(seed=[5, 6, 7], options={"reset_mask": mask}))
        ours, theirs = vector.step(actions), columns.step(actions)
        assert_same(ours, theirs)
        if options.get("sticky") and ours[3].any():
            break  # without a new seed the two go on with other dice, see the next test
        # Column 1 was not reset on the way: it ends at the limit, and starts in the row after it.
        assert ours[3].tolist() == [step == limit + 19, step == limit - 1, step == limit + 19]


def test_after_the_time_limit_a_seed_makes_sticky_games_equal_again():
    vector = make_pong_vec(1, max_episode_steps=5, sticky=0.25, **SMALL)
    single = PongEnv(sticky=0.25, **SMALL)
    vector.reset(seed=0)
    for actions in random_actions(9, 1):
        vector.step(actions)
    assert (vector.reset(seed=8)[0][0] == single.reset(seed=8)[0]).all()
    for actions in random_actions(4, 1, seed=2):
        assert (vector.step(actions)[0][0] == single.step(actions[0])[0]).all()


def test_rewards_are_raw_and_games_differ_by_seed():
    env = make_pong_vec(3, frame_skip=64, num_threads=1, **SMALL)
    first, _ = env.reset(seed=[1, 2, 2])
    assert (first[1] == first[2]).all()
    seen = [env.step(np.zeros(3, dtype=np.int64))[1] for _ in range(30)]
    assert np.sum(seen, axis=0).max() < -3  # the idle agent loses point after point
    starts = {PongEnv(**SMALL).reset(seed=seed)[1]["frame_number"] for seed in range(12)}
    assert len(starts) > 5
    assert max(starts) <= 30
    assert {PongEnv(noop_max=0).reset(seed=seed)[1]["frame_number"] for seed in (1, 5)} == {1}


def test_state_is_rebuilt_from_seed_and_actions_under_sticky_actions():
    actions = random_actions(150, 2)
    env = make_pong_vec(2, sticky=0.25, num_threads=1)
    env.reset(seed=[1, 2])
    for row in actions:
        final = env.step(row)[0]
    rebuilt = make_pong_vec(2, sticky=0.25, num_threads=2)
    rebuilt.reset(seed=[9, 9])
    rebuilt.step(actions[0])
    rebuilt.reset(seed=[1, 2])
    for row in actions:
        again = rebuilt.step(row)[0]
    np.testing.assert_array_equal(again, final)


def test_masked_reset_leaves_the_other_columns_alone_and_no_autoreset_row():
    env = make_pong_vec(2, frame_skip=64, num_threads=1, noop_max=0, **SMALL)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.metadata["masked_reset"]
    env.reset(seed=0)
    idle = np.zeros(2, dtype=np.int64)
    for _ in range(15):
        before = env.step(idle)[0]
    env.reset(seed=[4, 5], options={"reset_mask": np.array([False, True])})
    done = np.zeros(2, dtype=bool)
    while not done.any():
        before, _, done, _, _ = env.step(idle)
    assert done.tolist() == [True, False]  # the one that was not reset on the way ends first
    kept = before.copy()
    after, infos = env.reset(seed=np.array([6]), options={"reset_mask": done})
    np.testing.assert_array_equal(before, kept)  # what was handed out is not written over
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[0], PongEnv(frame_skip=64, noop_max=0, **SMALL).reset(seed=6)[0])
    frame = infos["frame_number"][0]
    _, _, again, _, infos = env.step(idle)
    assert infos["frame_number"][0] == frame + 64  # played, not reset
    assert not again.any()


def test_autoreset_after_the_end_is_a_row_that_pays_nothing():
    env = make_pong_vec(1, frame_skip=64, num_threads=1, noop_max=0, **SMALL)
    env.reset(seed=0)
    done = np.zeros(1, dtype=bool)
    while not done[0]:
        _, _, done, _, _ = env.step(np.zeros(1, dtype=np.int64))
    observations, rewards, done, truncated, _ = env.step(np.zeros(1, dtype=np.int64))
    assert not observations[0, 0].any()
    assert (rewards[0], done[0], truncated[0]) == (0, False, False)


def test_the_first_reset_must_be_of_all_columns():
    env = make_pong_vec(2)
    with pytest.raises(ValueError, match="first reset"):
        env.reset(options={"reset_mask": np.array([True, False])})


def hits_seen_on_screen(env, steps):
    """Play, and count where the ball's white pixels turn back in the right half of the screen."""
    hits, before, moves_right, paid = 0, None, False, 0.0
    for _ in range(steps):
        paid += env.step(follow_ball(env))[1]
        field = env.render()[34:194]
        columns = np.flatnonzero((field == 236).all(-1).any(0))
        x = columns.max() if len(columns) else None
        if x is not None and before is not None and x != before:
            hits += moves_right and x < before and before > 80
            moves_right = x > before
        elif x is None:
            moves_right = False
        before = x
    return hits, paid


@pytest.mark.parametrize("difficulty", [0, 3])
def test_paddle_reward_pays_for_each_hit_that_the_screen_shows(difficulty):
    options = {"difficulty": difficulty, "frame_skip": 1, "noop_max": 0, "render_mode": "rgb_array"}
    plain, shaped = PongEnv(**options), PongEnv(paddle_reward=0.25, **options)
    plain.reset(seed=1)
    shaped.reset(seed=1)
    hits, points = hits_seen_on_screen(plain, 1500)
    again, paid = hits_seen_on_screen(shaped, 1500)
    assert hits == again >= 3
    assert paid - points == pytest.approx(0.25 * hits)


def test_paddle_reward_counts_hits_within_skipped_frames():
    every, fourth = PongEnv(paddle_reward=1.0, frame_skip=1), PongEnv(paddle_reward=1.0)
    every.reset(seed=1)
    fourth.reset(seed=1)
    for _ in range(250):
        action = follow_ball(fourth)
        assert fourth.step(action)[1] == sum(every.step(action)[1] for _ in range(4))


def paddle_heights(difficulty):
    """The number of rows of the opponent's (orange) and the agent's (green) paddle, at most."""
    env = PongEnv(difficulty=difficulty, render_mode="rgb_array", frame_skip=1)
    env.reset(seed=0)
    heights = []
    for _ in range(150):
        env.step(0)
        field = env.render()[34:194]
        heights.append([(field == colour).all(-1).any(1).sum() for colour in ([213, 130, 74], [92, 186, 92])])
    return np.max(heights, axis=0).tolist()


def test_difficulty_halves_paddles_as_documented():
    assert [paddle_heights(difficulty) for difficulty in range(4)] == [[16, 16], [8, 16], [16, 8], [8, 8]]


@pytest.mark.parametrize("make", [PongEnv, lambda **options: make_pong_vec(1, **options)])
def test_wrong_options_are_named(make):
    with pytest.raises(UnknownOptionError, match=r"'frameskip'.*did you mean 'frame_skip'"):
        make(frameskip=2)
    with pytest.raises(ValueError, match=r"sticky=1.5 .*from 0 to 1"):
        make(sticky=1.5)
    with pytest.raises(ValueError, match=r"frame_size=200 .*from 8 to 160"):
        make(frame_size=200)
    with pytest.raises(ValueError, match=r"noop_max=True"):
        make(noop_max=True)


def test_what_only_the_single_environment_has_is_refused_with_the_way_out():
    for option in ({"difficulty": 3}, {"paddle_reward": 0.1}, {"render_mode": "rgb_array"}):
        name = next(iter(option))
        with pytest.raises(ValueError, match=f'{name}=.*vectorization_mode="sync"'):
            gym.make_vec("Hakisa/Pong-v0", 2, **option)
        gym.make_vec("Hakisa/Pong-v0", 2, vectorization_mode="sync", **option).reset(seed=0)
    with pytest.raises(ValueError, match=r"difficulty=4 .*from 0 to 3"):
        PongEnv(difficulty=4)


@pytest.mark.parametrize("actions", [[6, 0], [-1, 0], [0], [[0, 0]], [0.5, 1.0]])
def test_actions_that_would_hang_the_emulators_are_errors(actions):
    env = make_pong_vec(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="from 0 to 5"):
        env.step(np.array(actions))
    env.step(np.array([5, 0], dtype=np.int32))


def test_single_environment_refuses_actions_out_of_range():
    env = PongEnv()
    env.reset(seed=0)
    for action in (6, -1):
        with pytest.raises(ValueError, match="it must be 0 to 5"):
            env.step(action)


def test_frame_stack_is_declared_and_holds():
    env = gym.make("Hakisa/Pong-v0", frame_stack=3, frame_size=40)
    assert env.metadata["frame_stack"] == (0, 3, "zero")
    stacks = [env.reset(seed=0)[0]]
    stacks += [env.step(2)[0] for _ in range(6)]
    newest = [stack[-1] for stack in stacks]
    padded = [np.zeros((40, 40), dtype=np.uint8)] * 2 + newest
    for step, stack in enumerate(stacks):
        np.testing.assert_array_equal(stack, np.stack(padded[step : step + 3]))


@pytest.mark.parametrize(
    ("num_envs", "num_threads", "sizes"), [(1, 2, [1]), (2, 2, [1, 1]), (3, 5, [2, 1]), (8, 2, [4, 4]), (8, 1, [8])]
)
def test_columns_come_in_two_groups_unless_one_thread_steps_them(num_envs, num_threads, sizes):
    env = make_pong_vec(num_envs, num_threads=num_threads, **SMALL)
    assert [group.num_envs for group in env.groups] == sizes
    _, infos = env.reset(seed=0)
    assert infos["env_id"].tolist() == list(range(num_envs))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_groups_are_the_columns_and_can_be_stepped_by_themselves(num_threads):
    whole, parts = (
        make_pong_vec(3, num_threads=n, max_episode_steps=9, sticky=0.25, **SMALL) for n in (num_threads, 2)
    )
    seeds = [4, 5, 6]
    expected, _ = whole.reset(seed=seeds)
    first, second = parts.groups
    np.testing.assert_array_equal(expected, np.concatenate([first.reset(seed=[4, 5])[0], second.reset(seed=[6])[0]]))
    for actions in random_actions(30, 3):
        step = whole.step(actions)
        other = second.step(actions[2:])
        both = first.step(actions[:2]), other
        assert_same(step, [*(np.concatenate([part[i] for part in both]) for i in range(4)), {}])
    # A masked reset of the whole shows the columns that it leaves alone as their group last did.
    mask = np.array([False, True, False])
    shown, _ = parts.reset(seed=[7], options={"reset_mask": mask})
    np.testing.assert_array_equal(shown[[0, 2]], step[0][[0, 2]])
    np.testing.assert_array_equal(shown, whole.reset(seed=[7], options={"reset_mask": mask})[0])


@pytest.mark.parametrize("mask", [[True, True, True], [False, False, True]])
def test_a_reset_recovers_from_a_step_that_was_sent_and_never_received(mask):
    env, other = (make_pong_vec(3, num_threads=2, **SMALL) for _ in range(2))
    for one in (env, other):
        one.reset(seed=0)
    idle = np.zeros(3, dtype=np.int64)
    other.step(idle)
    for group in env.groups:
        group.send(idle[: group.num_envs])
    seeds, options = [1, 2, 3], {"reset_mask": np.array(mask)}
    shown, expected = (one.reset(seed=seeds, options=options)[0] for one in (env, other))
    np.testing.assert_array_equal(shown[mask], expected[mask])
    for actions in random_actions(20, 3):
        assert_same(env.step(actions), other.step(actions))


def test_closing_with_a_step_in_flight_ends_the_threads():
    env = make_pong_vec(2, num_threads=2, **SMALL)
    env.reset(seed=0)
    for group in env.groups:
        group.send(np.zeros(1, dtype=np.int64))
    env.close()
    env.close()


def by_score(score):
    return "win" if score > 0 else "loss" if score < 0 else "draw"


@pytest.mark.parametrize("num_threads", [1, 2])
def test_outcomes_of_a_vector_env_stand_in_the_rows_that_end_episodes_and_nowhere_else(num_threads):
    limits = 30  # at which some have lost a point and some have not
    env = make_pong_vec(4, num_threads=num_threads, max_episode_steps=limits, frame_skip=8, **SMALL)
    singles = SyncVectorEnv([lambda: gym.make("Hakisa/Pong-v0", max_episode_steps=limits, frame_skip=8, **SMALL)] * 4)
    env.reset(seed=[1, 2, 3, 4])
    singles.reset(seed=[1, 2, 3, 4])
    score, said, cut = np.zeros(4), [], np.array([False, True, False, True])
    for row, actions in enumerate(random_actions(130, 4)):
        if row == 20:  # a masked reset forgets the score, too, and takes columns out of step with one another
            for one in (env, singles):
                one.reset(seed=[5, 6, 7, 8], options={"reset_mask": cut})
            score[cut] = 0
        _, rewards, terminated, truncated, infos = env.step(actions)
        theirs = singles.step(actions)[4]
        score += rewards
        ended = terminated | truncated
        if not ended.any():
            assert "outcome" not in infos
            continue
        assert infos["_outcome"].tolist() == ended.tolist()
        expected = [by_score(points) if end else None for points, end in zip(score, ended, strict=True)]
        assert infos["outcome"].tolist() == expected
        assert [theirs["outcome"][column] for column in np.flatnonzero(ended)] == [word for word in expected if word]
        said += [word for word in expected if word]
        score[ended] = 0
    assert len(said) >= 8
    assert len(set(said)) > 1


def test_a_whole_game_is_lost_by_who_does_nothing_and_paddle_rewards_do_not_count():
    env = make_pong_vec(2, num_threads=2, frame_skip=64, noop_max=0, **SMALL)
    env.reset(seed=0)
    infos = {}
    while "outcome" not in infos:
        _, _, done, _, infos = env.step(np.zeros(2, dtype=np.int64))
    assert infos["outcome"][done].tolist() == ["loss"] * int(done.sum())
    single = PongEnv(frame_skip=64, noop_max=0, paddle_reward=1000.0, **SMALL)
    single.reset(seed=0)
    done, info = False, {}
    while not done:
        _, _, done, _, info = single.step(0)
    assert info["outcome"] == "loss"


@pytest.mark.parametrize(("score", "word"), [(21, "win"), (1, "win"), (0, "draw"), (-1, "loss"), (-21.0, "loss")])
def test_the_outcome_is_who_leads(score, word):
    assert outcome(score) == word


def test_who_leads_at_a_time_limit_has_won():
    env = gym.make("Hakisa/Pong-v0", frame_skip=1, max_episode_steps=2200)
    env.reset(seed=1)
    total, truncated, info = 0.0, False, {}
    while not truncated:
        _, reward, _, truncated, info = env.step(follow_ball(env.unwrapped))
        total += reward
    assert total > 0
    assert info["outcome"] == "win"
