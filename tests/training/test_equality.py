"""Data of ours can be compared and hashed, arrays or no arrays."""

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest

import hakisa_algos
import hakisa_envs
from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo_config import PPOConfig

ARRAYS = ("ndarray", "NDArray", "Tensor")


def classes():
    for package in (hakisa_algos, hakisa_envs):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            yield from (x for x in vars(module).values() if isinstance(x, type) and x.__module__ == found.name)


def test_no_dataclass_compares_arrays_by_what_has_no_truth_value():
    found = [each for each in classes() if dataclasses.is_dataclass(each)]
    assert len(found) > 40
    generated = [each for each in found if each.__dataclass_params__.eq]
    wrong = {
        f"{each.__module__}.{each.__name__}.{field.name}"
        for each in generated
        for field in dataclasses.fields(each)
        if any(kind in str(field.type) for kind in ARRAYS)
    }
    assert not wrong


@pytest.fixture(scope="module")
def agent():
    return PPO("CartPole-v1", PPOConfig(num_envs=2))


def test_evaluations_are_equal_where_all_that_came_of_them_is(agent):
    one, same, other = (agent.evaluate(4, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert one != "text"
    longer = dataclasses.replace(one, limit=one.limit + 1)
    assert one != longer
    assert isinstance(one.returns, np.ndarray)
