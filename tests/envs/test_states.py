"""States of envs: what follows one is what followed it the first time, through processes and wrappers."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import OrderEnforcing, RecordEpisodeStatistics, TimeLimit

from hakisa_envs.vector import ProcessVectorEnv, make_process_vec
from tests.helpers.toy import END, STEP, Dice, Toy


def limited(make=Dice):
    return TimeLimit(OrderEnforcing(make()), 6)


class Keeps(gym.Wrapper):
    """Has a state of its own, and hands it on."""

    rows = 0

    def step(self, action):
        self.rows += 1
        observation, reward, *rest = self.env.step(action)
        return observation, reward + self.rows, *rest

    def get_state(self):
        return {"rows": self.rows, "env": self.env.get_state()}

    def set_state(self, state):
        self.rows = state["rows"]
        self.env.set_state(state["env"])


def keeping():
    return TimeLimit(Keeps(Dice()), 6)


def rows(envs, n=12):
    """So many rows as plain values, the infos without the process that sent them."""
    found = []
    for row in range(n):
        *arrays, infos = envs.step([STEP, END if row == 3 else STEP])
        found.append([array.tolist() for array in arrays])
        found.append({key: value.tolist() for key, value in infos.items() if "pid" not in key})
    return found


@pytest.mark.parametrize("make", [Dice, limited, keeping])
def test_envs_that_were_never_reset_go_on_as_the_first_ones_did(make):
    first, second = ProcessVectorEnv([make] * 2), ProcessVectorEnv([make] * 2)
    assert first.get_state() == [None, None]  # nothing runs yet
    first.reset(seed=3)
    for _ in range(4):
        first.step([STEP, STEP])
    first.step([STEP, END])  # its next row is a reset, and must be one here, too
    states = first.get_state()
    expected = rows(first)
    assert second.set_state(states) is None
    assert rows(second) == expected
    first.set_state(states)  # and one that has gone on can go back
    assert rows(first) == expected
    first.close()
    second.close()


def test_press_of_an_id_goes_on_within_the_wrappers_that_gymnasium_puts_round_it():
    first, second = (make_process_vec("Hakisa/Press-v0", 2, max_episode_steps=5) for _ in range(2))
    first.reset(seed=3)
    actions = np.zeros((2, 3), int)
    first.step(actions)
    second.set_state(first.get_state())
    for _ in range(12):
        ours, theirs = first.step(actions), second.step(actions)
        for mine, other in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
    first.close()
    second.close()


def test_a_column_without_a_state_begins_anew_and_says_so():
    envs = ProcessVectorEnv([Dice] * 2)
    envs.reset(seed=3)
    envs.step([STEP] * 2)
    first, _ = envs.get_state()
    envs.set_state([first, None])
    observations, _, _, _, infos = envs.step([STEP] * 2)
    assert observations.tolist() == [[3, 2], [-1, 0]]
    assert infos["began"].tolist() == [False, True]
    with pytest.raises(ValueError, match="1 states for 2 columns"):
        envs.set_state([first])
    envs.close()


class Foreign(Dice):
    metadata = {"render_modes": []}  # noqa: RUF012


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Toy, r"Toy has no get_state\(\) and set_state\(state\)"),
        (Foreign, "Foreign does not declare metadata"),
        (partial(limited, Toy), "Toy has no get_state"),
        (lambda: RecordEpisodeStatistics(Dice()), "RecordEpisodeStatistics, a wrapper round Dice, may have a state"),
    ],
)
def test_envs_without_states_have_no_such_methods_and_say_why(make, words):
    envs = ProcessVectorEnv([make])
    for name in ("get_state", "set_state"):
        assert not hasattr(envs, name)
        with pytest.raises(AttributeError, match=words):
            getattr(envs, name)
    envs.close()


def test_a_state_of_an_env_that_was_made_otherwise_is_refused():
    first, second = ProcessVectorEnv([limited]), ProcessVectorEnv([Dice])
    first.reset()
    with pytest.raises(ValueError, match="with 2 wrappers, and this Dice has 0"):
        second.set_state(first.get_state())
    first.close()
    second.close()
