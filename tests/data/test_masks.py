"""Every mask is that of its own observation, wherever it comes from, and stays with it wherever that goes."""

import functools
import logging

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.wrappers import TimeLimit, TransformObservation

from hakisa_algos.data.collect import Collector
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.dataset import open_rows, write_rows
from hakisa_algos.data.masks import MaskReader, check_final_masks, decided
from hakisa_algos.data.needs import Rows
from hakisa_algos.data.replay import ReplaySampler
from hakisa_algos.data.rollout import RolloutBuffer
from hakisa_algos.errors import CheckpointError, ConfigError
from hakisa_algos.learners.demonstrations import held, state_of
from hakisa_algos.learners.dqn import DQNConfig, DQNLearner
from hakisa_algos.policy.observations import MASK, ObservationLayout, split_mask
from hakisa_algos.policy.random_policy import RandomPolicy
from tests.helpers.counting import CountingEnv
from tests.helpers.masked import ACTIONS, CONDITIONAL, MODES, MaskedEnv, allowed_after, masked_envs


def collected(envs, rows=60, policy=None, stack=None, **options):
    policy = policy or RandomPolicy(envs.single_observation_space, envs.single_action_space, masked=True)
    policy.seed(3)
    buffer = RolloutBuffer(rows, envs.num_envs, policy.observation, stack)
    collector = Collector(envs, policy, buffer, seed=5, **options)
    collector.collect(Rows(rows))
    return buffer, collector


def check_masks(observation, opened, name):
    """Masks of a batch of observations; where ``opened``, they may be all True."""
    seen, mask = split_mask(observation)
    assert mask.dtype == torch.bool
    assert len(seen) == len(opened)
    expected = allowed_after(seen.numpy())
    fine = (mask.numpy() == expected).all(1) | (opened & mask.numpy().all(1))
    assert fine.all(), (name, np.flatnonzero(~fine))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("give", ["info", "method"])
def test_every_row_has_the_mask_of_its_own_observation(mode, give):
    envs = masked_envs(mode, give=give)
    buffer, _ = collected(envs)
    rollout = buffer.rollout(60)
    # Nobody acts on the terminal observation of NEXT_STEP, whose row is no transition.
    idle = ~rollout.column("transition").numpy().reshape(-1)
    assert idle.any() == (mode in ("foreign_next_step",))
    check_masks(rollout.observations(), idle, "observations")
    ended = (rollout.column("terminated") | rollout.column("truncated"))[-1].numpy()
    check_masks(rollout.next_observation(), ended if idle.any() else np.zeros(3, bool), "next")
    finals = rollout.final_observations()
    unknown = give == "method" and mode.endswith("same_step")
    assert len(finals[MASK]) > 5
    check_masks(finals, np.full(len(finals[MASK]), unknown), "finals")
    assert finals[MASK].all() == unknown
    envs.close()


@pytest.mark.parametrize("mode", ["disabled", "foreign_next_step", "foreign_same_step"])
def test_a_limit_of_our_own_cuts_an_episode_with_its_own_mask(mode):
    buffer, _ = collected(masked_envs(mode, longest=50), episode_limit=4)
    finals = buffer.rollout(60).final_observations()
    check_masks(finals, np.zeros(len(finals[MASK]), bool), "finals")


class Over(MaskedEnv):
    """Truncates by itself, and forbids everything then, too."""

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {"action_mask": np.zeros(5)} if truncated else info


@pytest.mark.parametrize("mode", ["disabled", "foreign_next_step", "foreign_same_step"])
def test_what_is_all_forbidden_when_an_episode_is_over_counts_as_open(mode):
    buffer, _ = collected(masked_envs(mode, make=Over))
    assert buffer.rollout(60).final_observations()[MASK].all()


@pytest.mark.parametrize("mode", MODES[:-2])  # not in processes
@pytest.mark.parametrize("give", ["info", "method"])
def test_an_observation_that_allows_nothing_names_its_env_and_step(mode, give):
    envs = masked_envs(mode, give=give, longest=60, dead=2, ends=("truncated",))
    with pytest.raises(ConfigError, match=r"MaskedEnv, column 0: .* allows nothing at step 2 of its episode 0") as told:
        collected(envs)
    assert "end the episode there" in str(told.value)
    envs.close()


def test_at_the_first_reset_too():
    with pytest.raises(ConfigError, match="allows nothing at step 0 of its episode 0"):
        collected(masked_envs(dead=0))


class Silent(MaskedEnv):
    """Says its mask only in some of the rows."""

    def _info(self):
        return super()._info() if self.count % 2 == 0 else {}


def test_a_row_that_says_nothing_allows_everything():
    class Lax(Silent):
        def step(self, action):
            self.dead = 1000  # what is forbidden in the rows that say nothing is done
            return super().step(action)

    buffer, _ = collected(masked_envs(make=Lax))
    seen, mask = split_mask(buffer.rollout(60).observations())
    silent = seen[:, 2] % 2 == 1
    assert silent.any()
    assert mask[silent].all()
    np.testing.assert_array_equal(mask[~silent], allowed_after(seen[~silent].numpy()))


class Stacked(MaskedEnv):
    """Shows its last observations, which it declares."""

    def __init__(self, column=0, **options):
        super().__init__(column, metadata={"hakisa_contract": 1, "frame_stack": (0, 3, "reset")}, **options)
        self.observation_space = spaces.Box(-np.inf, np.inf, (3, 4), np.float32)

    def reset(self, **options):
        observation, info = super().reset(**options)
        self.frames = [observation] * 3
        return np.stack(self.frames), info

    def step(self, action):
        observation, *rest = super().step(action)
        self.frames = [*self.frames[1:], observation]
        return np.stack(self.frames), *rest


def test_stacked_frames_are_still_stored_once(tmp_path):
    envs = masked_envs(make=Stacked)
    space = envs.single_observation_space
    stack = FrameStack.of((0, 3, "reset"), space, space)
    buffer, _ = collected(envs, stack=stack)
    assert buffer._observations[""].data.shape[2:] == (1, 4)
    assert buffer._observations[MASK].data.shape[2:] == (ACTIONS,)
    write_rows(tmp_path, buffer)
    for source in (buffer, open_rows(tmp_path)):
        position = np.arange(source.oldest * source.num_envs, source.steps)
        position = position[source.take("learned", position)]
        seen, mask = split_mask(source.observation(position))
        assert seen.shape[1:] == (3, 4)
        np.testing.assert_array_equal(mask, allowed_after(seen[:, -1].numpy()))


def test_replay_segments_and_demonstrations_carry_masks(tmp_path):
    buffer, _ = collected(masked_envs("foreign_next_step"))
    write_rows(tmp_path, buffer)
    rng = np.random.default_rng(0)
    for source in (buffer, open_rows(tmp_path), held(state_of(buffer)), held(state_of(open_rows(tmp_path)))):
        drawn = ReplaySampler(source.capacity, source.num_envs, 2).sample_evenly(source, 300, rng)
        check_masks(drawn.observation, np.zeros(300, bool), "observation")
        check_masks(drawn.next_observation, drawn.terminated.numpy(), "next")
    other = RolloutBuffer(60, 3, ObservationLayout(buffer.observation_space[""]))
    with pytest.raises(CheckpointError, match="needed is"):
        other.restore(buffer.state(), open_rows(tmp_path))


def test_demonstrations_are_of_the_same_kind():
    shown, _ = collected(masked_envs())
    for masked in (True, False):
        config = DQNConfig(action_masks=masked, demonstration_share=0.5, hidden_sizes=(4,), learning_starts=0)
        envs = masked_envs()
        learner = DQNLearner(
            envs.single_observation_space, spaces.Discrete(ACTIONS), config, num_envs=3, seed=0,
            device=torch.device("cpu"),
        )  # fmt: skip
        if masked:
            learner.demonstrate(shown)
            assert "train/margin_loss" in learner.update(shown)
        else:
            with pytest.raises(ConfigError, match="with action masks: True, and action_masks=False"):
                learner.demonstrate(shown)


@pytest.mark.parametrize("mode", ["disabled", "foreign_next_step"])
def test_a_collection_resumes_bit_for_bit(mode):
    whole, _ = collected(masked_envs(mode))
    half, collector = collected(masked_envs(mode), rows=30)
    envs = masked_envs(mode)
    policy = RandomPolicy(envs.single_observation_space, envs.single_action_space, masked=True)
    policy._generator.set_state(collector.policy._generator.get_state())
    buffer = RolloutBuffer(60, 3, policy.observation)
    resumed = Collector(envs, policy, buffer, seed=5)
    buffer.restore(half.state())
    exact = resumed.load_state(collector.state())
    assert exact == (mode == "disabled")
    if exact:
        resumed.collect(Rows(30))
        one, two = whole.rollout(30), buffer.rollout(30)
        for key in ("", MASK):
            torch.testing.assert_close(one.observations()[key], two.observations()[key], rtol=0, atol=0)
        assert torch.equal(one.column("action"), two.column("action"))


# Deciding.


def unmasked():
    return SyncVectorEnv([functools.partial(MaskedEnv, give="nothing")] * 2)


def test_masks_are_found_through_wrappers_and_declared_or_not():
    def wrapped(**options):
        env = TimeLimit(MaskedEnv(**options), 3)
        return TransformObservation(env, lambda o: o * 2, env.observation_space)

    for follows in (0, 1):
        for give in ("info", "method"):
            envs = SyncVectorEnv([functools.partial(wrapped, give=give, metadata={"hakisa_contract": follows})])
            assert decided("auto", envs) == decided(True, envs) == give
            assert decided(False, envs) is None
    assert decided("auto", gym.make_vec("Taxi-v4")) == "info"
    assert decided("auto", unmasked()) is None


def test_true_without_a_mask_names_the_env_and_both_ways_to_give_one():
    with pytest.raises(ConfigError, match="MaskedEnv gives no action masks") as told:
        decided(True, unmasked())
    assert 'info["action_mask"]' in str(told.value)
    assert "action_masks()" in str(told.value)


class Wrong(MaskedEnv):
    def _mask(self):
        return np.ones(4, bool)


@pytest.mark.parametrize("give", ["info", "method"])
def test_a_mask_of_another_size_is_ignored_and_said_or_with_true_an_error(caplog, give):
    envs = masked_envs(make=Wrong, give=give)
    with caplog.at_level(logging.WARNING):
        assert decided("auto", envs) is None
    (record,) = caplog.records
    assert "has 4 entries; Discrete(5) needs 5" in record.message
    with pytest.raises(ConfigError, match="has 4 entries; Discrete"):
        decided(True, envs)


def test_a_list_of_legal_actions_is_no_mask_even_if_it_is_as_long():
    class Legal(MaskedEnv):
        def _mask(self):
            return np.arange(5)

    with pytest.raises(ConfigError, match=r"is \[0, 1, 2, 3, 4\]"):
        decided(True, masked_envs(make=Legal))


def test_a_method_of_that_name_that_wants_arguments_is_something_else():
    class Other(MaskedEnv):
        def action_masks(self, player):
            raise AssertionError

    assert decided("auto", masked_envs(make=Other, give="nothing")) is None


@pytest.mark.parametrize("word", ["launches_programs", "real_time"])
def test_programs_are_not_started_to_find_out(word):
    class Live(MaskedEnv):
        def reset(self, **options):
            raise AssertionError("it was opened")

    def envs(give):
        made = masked_envs(make=Live, give=give)
        made.metadata = {**made.metadata, word: True}
        return made

    assert decided("auto", envs("info")) is None
    assert decided(True, envs("info")) == "info"
    assert decided("auto", envs("method")) == "method"


class Sometimes(MaskedEnv):
    """Says its mask with steps only; or with resets by the method alone; or None in place of one that allows all."""

    def __init__(self, column=0, kind="steps", **options):
        super().__init__(column, give="info", **options)
        self.kind = kind
        if kind == "method at reset":
            self.action_masks = self._mask

    def reset(self, **options):
        observation, info = super().reset(**options)
        return observation, info if self.kind == "none" else {}

    def step(self, action):
        observation, reward, terminated, truncated, _ = CountingEnv.step(self, action)
        self.over = terminated
        if self.kind == "none" and self.count % 2:
            return observation, reward, terminated, truncated, {"action_mask": None}
        return observation, reward, terminated, truncated, self._info()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["steps", "method at reset", "none"])
def test_rows_that_say_nothing_allow_everything_or_are_asked_by_the_method(kind, mode):
    if kind == "none" and mode in ("next_step", "same_step", "foreign_next_step", "foreign_same_step", "disabled"):
        envs = masked_envs(mode, n=1, make=Sometimes, kind=kind)  # Gymnasium itself does not stack None and arrays
    elif kind == "none":
        return
    else:
        envs = masked_envs(mode, make=Sometimes, kind=kind)
    buffer, _ = collected(envs)
    rollout = buffer.rollout(60)
    seen, mask = split_mask(rollout.observations())
    count = seen[:, 2].numpy()
    silent = count % 2 == 1 if kind == "none" else count == 0 if kind == "steps" else np.zeros(len(count), bool)
    over = ~rollout.column("transition").flatten().numpy()
    assert mask.numpy()[silent].all()
    said = mask.numpy()[~silent & ~over]
    np.testing.assert_array_equal(said, allowed_after(seen.numpy()[~silent & ~over]))
    envs.close()


def test_masks_that_come_with_the_first_step_are_found_where_they_must_be():
    envs = SyncVectorEnv([functools.partial(Sometimes, kind="steps")] * 2)
    assert decided(True, envs) == "info"
    assert decided("auto", envs) is None
    assert decided("auto", envs, own=True) == "info"


def test_a_policy_that_acts_by_masks_says_once_that_it_gets_none(caplog):
    with caplog.at_level(logging.WARNING):
        collected(masked_envs(give="nothing", make=functools.partial(MaskedEnv, dead=10**9)))
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "has given no action mask so far, and this agent acts by them" in said[0]


class OuterMethod(VectorWrapper):
    def action_masks(self):
        return [env._mask() for env in self.unwrapped.envs]


class OwnVectorEnv(SyncVectorEnv):
    def action_masks(self):
        return [env._mask() for env in self.envs]


@pytest.mark.parametrize("make", [lambda fs: OuterMethod(SyncVectorEnv(fs)), OwnVectorEnv], ids=["wrapper", "subclass"])
def test_a_vector_envs_own_method_is_called(make):
    def envs():
        return make([functools.partial(MaskedEnv, column, give="nothing") for column in range(3)])

    assert decided("auto", envs()) == "method"
    buffer, _ = collected(envs())
    rollout = buffer.rollout(60)
    check_masks(rollout.observations(), ~rollout.column("transition").numpy().reshape(-1), "observations")


def test_same_step_knows_no_final_mask_of_a_method():
    same = masked_envs("same_step", give="method")
    with pytest.raises(ConfigError, match=r"dqn looks at .* SAME_STEP MaskedEnv .*NEXT_STEP"):
        check_final_masks(same, "dqn")
    check_final_masks(SyncVectorEnv([MaskedEnv], autoreset_mode=AutoresetMode.NEXT_STEP), "dqn")


def test_the_commands_of_a_conditional_space_need_their_arguments():
    class Conditional(gym.Env):
        observation_space, action_space = spaces.Box(-1, 1, (1,)), CONDITIONAL

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            # Keys of command 1: none; cells of command 2: the last one.
            return np.zeros(1, np.float32), {"action_mask": [1, 1, 1] + [0] * 4 + [0, 0, 1]}

        def step(self, action):
            assert action.tolist() in ([0, 0, 0], [2, 0, 2])
            return np.zeros(1, np.float32), 0.0, False, False, {"action_mask": [0, 1, 1, 0, 0, 0, 0, 0, 0, 1]}

    envs = SyncVectorEnv([Conditional] * 2)
    mask = MaskReader(envs).read(envs.reset()[1], np.ones(2, bool))
    assert mask.astype(int).tolist() == [[1, 0, 1] + [0] * 4 + [0, 0, 1]] * 2
    buffer, _ = collected(envs, rows=10)
    assert not buffer.rollout(10).observations()[MASK][:, 1].any()


def test_a_dict_of_masks_is_refused_with_its_keys(caplog):
    class Nested(MaskedEnv):
        def reset(self, **options):
            observation, info = super().reset(**options)
            return observation, {"action_mask": {"move": info["action_mask"]}}

    envs = SyncVectorEnv([lambda: Nested(0, "info")] * 2)
    with pytest.raises(
        ConfigError, match=r"Nested is a dict with the keys \['_move', 'move'\]; it must be flat, with 5"
    ):
        decided(True, envs)
    assert decided("auto", envs) is None
    assert "it must be flat" in caplog.text
