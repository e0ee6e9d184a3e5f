"""Envs that do not keep to Gymnasium's API or to their own space: what is wrong is said, with env, column and place."""

import contextlib
import functools
import os
import signal

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import TimeLimit

from hakisa_algos import Agent
from hakisa_algos.errors import ConfigError, NonFiniteError, PoolError
from hakisa_algos.training.checkpoint import load_checkpoint
from tests.policy.test_encoding import CONFIGS

OLD, OLD_RESET, NO_SEED, WIDE, TEXT, FLOATS, NO_KEY, NO_INFO, OWN, DIE = [
    "old",
    "old_reset",
    "no_seed",
    "wide",
    "text",
    "floats",
    "no_key",
    "no_info",
    "own",
    "die",
]


class Broken(gym.Env):
    """Keeps to nothing from its third step on, or at its first reset, in the way that its ``fault`` names."""

    action_space = Discrete(2)

    def __init__(self, fault, value=np.nan):
        self.fault, self.value, self.steps = fault, value, 0
        box = Box(0, 255, (3,), np.uint8) if fault == FLOATS else Box(-1, 1, (3,), np.float32)
        self.observation_space = Dict({"a": box, "b": Box(-1, 1, (1,))}) if fault in (NO_KEY, "nan in b") else box

    def show(self):
        seen = self.observation_space.sample()
        late = self.steps >= 3
        if self.fault == WIDE and late:
            return np.zeros((2, 2), np.float32)
        if self.fault == TEXT and late:
            return "none"
        if self.fault == FLOATS and late:
            return seen / 255
        if self.fault == NO_KEY and late:
            return {"a": seen["a"]}
        if self.fault == "nan" and late:
            seen[1] = self.value
        if self.fault == "nan in b" and late:
            seen["b"][0] = self.value
        return seen

    def reset(self, *, seed=None, options=None):
        if self.fault == NO_SEED:
            raise TypeError("reset() got an unexpected keyword argument 'seed'")
        super().reset(seed=seed)
        return self.show() if self.fault == OLD_RESET else (self.show(), {})

    def step(self, action):
        self.steps += 1
        if self.fault == OWN and self.steps == 3:
            (_,) = [1, 2]
        if self.fault == DIE and self.steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == OLD and self.steps == 3:
            return self.show(), 0.0, False, {}
        return self.show(), 0.0, self.steps % 40 == 0, False, None if self.fault == NO_INFO else {}


def learn(env, algorithm="ppo", **options):
    with contextlib.closing(Agent(env, CONFIGS[algorithm], algorithm=algorithm, **options)) as agent:
        agent.learn(2000)


SAID = {
    OLD: r"in step\(\), ValueError: not enough values to unpack .*step\(action\) returns \(observation, reward, term",
    OLD_RESET: r"in reset\(\), ValueError: too many values to unpack .*shimmy",
    WIDE: r"column 0: the observation has the shape \(2, 2\), but its space says \(3,\); mend the env or its",
    TEXT: r"column 0: the observation is a str, but its space says Box\(-1",
    FLOATS: "column 0: the observation is of type float64, but its space says uint8",
    NO_KEY: r"column 0: the observation is \['a'\], but its space is a Dict of \['a', 'b'\]",
    NO_INFO: r"in step\(\), AttributeError: 'NoneType'",
}


@pytest.mark.parametrize("fault", SAID)
@pytest.mark.parametrize("wrap", [lambda env: env, lambda env: TimeLimit(env, 99)], ids=["bare", "wrapped"])
def test_what_does_not_keep_to_the_api_is_said(fault, wrap):
    with pytest.raises(ConfigError, match=f"^Broken does not keep to what it says: {SAID[fault]}") as caught:
        learn(lambda: wrap(Broken(fault)))
    assert caught.value.__cause__ is not None


@pytest.mark.filterwarnings("ignore:.*(Received|Traceback|Raising|Calling `close`):UserWarning")
@pytest.mark.parametrize("fault", [OLD, OLD_RESET, NO_SEED, WIDE])
def test_the_same_from_other_processes(fault):
    with pytest.raises(ConfigError, match=r"^ProcessEnvs does not keep to what it says: in .*Gymnasium's step"):
        learn(functools.partial(Broken, fault), vectorization="async")


def test_an_error_of_the_envs_own_stays_as_it_is():
    with pytest.raises(ValueError, match="too many values to unpack") as caught:
        learn(lambda: Broken(OWN))
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(("algorithm", "vectorization"), [*((name, "sync") for name in CONFIGS), ("ppo", "async")])
def test_no_algorithm_goes_on_with_an_observation_that_is_no_number(algorithm, vectorization, tmp_path):
    said = r"^\w+, column \d: the observation holds nan at entry \(1,\), at step 3 of its episode 0, both counted"
    with pytest.raises(NonFiniteError, match=said):
        learn(functools.partial(Broken, "nan"), algorithm, vectorization=vectorization)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "ga"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_of_a_dict_the_key_is_named(algorithm, value):
    with pytest.raises(NonFiniteError, match=rf"observation 'b' holds {value} at entry \(0,\)"):
        learn(lambda: Broken("nan in b", value), algorithm)


class Paying(Broken):
    """Pays its ``value`` at its third step."""

    def __init__(self, value):
        super().__init__("", value)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, self.value if self.steps == 3 else reward, *rest


@pytest.mark.parametrize(("algorithm", "vectorization"), [*((name, "sync") for name in CONFIGS), ("ppo", "async")])
@pytest.mark.parametrize(("value", "found"), [(np.nan, "nan"), (-np.inf, "-inf"), (None, "nan")])
def test_no_algorithm_goes_on_with_a_reward_that_is_no_number(algorithm, vectorization, value, found):
    said = rf"^\w+, column \d: the reward is {found}, at step 3 of its episode 0, both counted from 0"
    with pytest.raises(NonFiniteError, match=said):
        learn(functools.partial(Paying, value), algorithm, vectorization=vectorization)


def test_a_reward_that_is_no_single_number_is_named():
    with pytest.raises(ConfigError, match=r"sequence\. Gymnasium's step.* of which the reward is one number"):
        learn(lambda: Paying(np.ones(2)))


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce", "pqn", "dqn"])
def test_what_was_learned_before_such_an_observation_is_saved(algorithm, tmp_path):
    class Late(Broken):
        def step(self, action):
            self.fault = "nan" if self.steps > 30 else ""
            return super().step(action)

    agent = Agent(lambda: Late(""), CONFIGS[algorithm], algorithm=algorithm)
    with pytest.raises(NonFiniteError):
        agent.learn(2000, run=tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == agent.steps >= 48
    crash = next((tmp_path / "run" / "crash").glob("*.npz"))
    with np.load(crash) as arrays:
        assert np.isnan(arrays["observation"]).any()


def test_evaluations_do_not_go_on_either():
    with pytest.raises(NonFiniteError, match="the observation holds nan"):
        Agent(lambda: Broken("nan"), CONFIGS["ppo"], algorithm="ppo").evaluate(2)


class Own(VectorEnv):
    """Two columns of its own making; ``change`` gets what step returns."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012
    num_envs = 2
    single_observation_space, single_action_space = Box(-1, 1, (1,), np.float32), Discrete(2)
    observation_space = Box(-1, 1, (2, 1), np.float32)

    def __init__(self, change=lambda *step: step, mode=AutoresetMode.NEXT_STEP):
        self.change, self.steps = change, 0
        self.metadata = {"autoreset_mode": mode}

    def reset(self, *, seed=None, options=None):
        return np.zeros((2, 1), np.float32), {}

    def step(self, actions):
        self.steps += 1
        ended = np.array([self.steps % 3 == 0, self.steps % 4 == 0])
        seen = np.full((2, 1), self.steps % 3, np.float32)
        return self.change(seen, actions.astype(float), ended, ~ended & (self.steps % 5 == 0), {})


def trained(change, algorithm="ppo"):
    agent = Agent(Own(change), CONFIGS[algorithm], algorithm=algorithm, seed=1).learn(48)
    return {name: tensor.tolist() for name, tensor in agent.policy.state_dict().items()}


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "pqn"])
@pytest.mark.parametrize("kind", [int, np.uint8, np.float64, list])
def test_flags_that_are_whole_numbers_are_taken(kind, algorithm):
    def change(seen, reward, terminated, truncated, info):
        if kind is list:
            return seen, reward.tolist(), terminated.tolist(), truncated.tolist(), info
        return seen, reward.astype(np.int64), terminated.astype(kind), truncated.astype(kind), info

    assert trained(change, algorithm) == trained(lambda *step: step, algorithm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda o, r, d, t, i: (o, r, 2 * d, t, i),
            r"terminated is array\(.*; it must be 2 bools, one for each column",
        ),
        (lambda o, r, d, t, i: (o, r, d, t[0], i), "truncated is .*; it must be 2 bools"),
        (
            lambda o, r, d, t, i: (o, r[:, None], d, t, i),
            r"(?s)reward is .*; it must be 2 numbers, one for each",
        ),
        (lambda o, r, d, t, i: (o, [None, 1.0], d, t, i), r"reward is \[None, 1.0\]; it must be"),
        (
            lambda o, r, d, t, i: (o, r, d, i),
            r"^Own does not keep to what it says: in step\(\), ValueError: not enough",
        ),
        (
            lambda o, r, d, t, i: (o[:, 0], r, d, t, i),
            r"^Own does not .*: observation has the shape \(\), but its space",
        ),
    ],
)
def test_what_a_vector_env_must_not_return(change, message):
    with pytest.raises(ConfigError, match=message):
        trained(change)


@pytest.mark.parametrize(
    "infos",
    [{}, {"final_observation": np.zeros((2, 1))}, {"final_obs": [None, None], "_final_obs": np.zeros(2, bool)}],
    ids=["nothing", "the former name", "of nobody"],
)
def test_same_step_without_final_observations_is_refused(infos):
    envs = Own(lambda *step: (*step[:4], infos), AutoresetMode.SAME_STEP)
    with pytest.raises(
        ConfigError, match=r'^Own begins .*\(SAME_STEP\), but infos\["final_obs"\] says nothing of column'
    ):
        Agent(envs, CONFIGS["ppo"], algorithm="ppo").learn(48)


def test_a_process_of_the_users_own_that_dies_is_named():
    envs = AsyncVectorEnv([lambda: Broken(""), lambda: Broken(DIE)])
    with pytest.raises(PoolError, match=r"Broken: the process of env 1 \(exit code -9\) has died|env 1 .*has died"):
        Agent(envs, CONFIGS["ppo"], algorithm="ppo").learn(48)
    envs.closed = True  # it cannot be closed by Gymnasium's own means
    for process in envs.processes:
        process.kill()
        process.join()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: None, "the callable returned None; it must return a Gymnasium env, one column"),
        (
            lambda: SyncVectorEnv([lambda: Broken("")]),
            "the callable returned .*, a vector env; pass it itself, as env=",
        ),
        (lambda: (Broken(""), {}), "the callable returned .*; it must return a Gymnasium env"),
        (lambda: Broken, "the callable returned .*; it must return a Gymnasium env"),
        (lambda: type("Old", (), {"reset": print, "step": print})(), "one of the old API of gym: .*shimmy"),
    ],
)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_callable_that_returns_something_else(factory, message, vectorization):
    with pytest.raises(ConfigError, match=message):
        Agent(factory, CONFIGS["ppo"], algorithm="ppo", vectorization=vectorization)


def test_an_env_of_the_old_api_itself():
    old = type("Old", (), {"reset": print, "step": print})()
    with pytest.raises(
        ConfigError, match=r"is neither an id, an env, .*; it looks like one of the old API of gym.*shimmy"
    ):
        Agent(old, CONFIGS["ppo"], algorithm="ppo")
