"""What the loop says and lets itself be told: ages of policies, rows that do not count, callbacks, lent envs."""

import logging

import numpy as np
import pytest
import torch

from hakisa_algos import DQN, PPO, PPOConfig
from hakisa_algos.learners.dqn import DQNConfig
from tests.helpers.counting import CountingEnv

SMALL = PPOConfig(total_steps=64, num_envs=2, n_steps=8, minibatch_size=8, epochs=1, hidden_sizes=(4,))


def learned(make, config=SMALL, agent=PPO, **options):
    rows = []
    learner = agent(make, config, seed=1)
    learner.learn(callbacks=[lambda trainer, metrics: rows.append(dict(metrics))], **options)
    return learner, rows


@pytest.mark.parametrize("beside", [False, True])
def test_rows_say_how_many_updates_older_the_policy_was_that_played_them(beside):
    config = DQNConfig(
        total_steps=64, num_envs=2, learning_starts=2, train_every=8, gradient_steps=1, batch_size=4, hidden_sizes=(4,),
        learn_beside=beside,
    )  # fmt: skip
    _, rows = learned(CountingEnv, config, DQN)
    assert {row["rollout/policy_lag"] for row in rows[3:]} == {1.0 if beside else 0.0}


class Silent(CountingEnv):
    """None of its rows is a transition, it says."""

    def __init__(self, contract=1):
        super().__init__(metadata={"hakisa_contract": contract})

    def step(self, action):
        return *super().step(action)[:4], {"transition": False}


def test_a_run_in_which_no_row_counts_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        learned(Silent)
    assert "nothing was learned: none of the rows counts" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        learned(lambda: Silent(contract=0))
    assert "nothing was learned" not in caplog.text


@pytest.mark.parametrize("no", [False, np.False_, np.array([False]), torch.tensor(False)])
def test_any_false_of_a_callback_stops(no):
    agent = PPO(CountingEnv, SMALL).learn(callbacks=[lambda trainer, metrics: no])
    assert (agent.steps, agent.stopped_by) == (16, "callback")


@pytest.mark.parametrize(
    "yes", [None, True, np.True_, 0, "", [], np.array([False, False]), torch.tensor(True), {"a": [1]}, [[1], [2, 3]]]
)
def test_nothing_else_does(yes):
    agent = PPO(CountingEnv, SMALL).learn(callbacks=[lambda trainer, metrics: yes])
    assert (agent.steps, agent.stopped_by) == (64, None)


def test_what_a_callback_adds_reaches_sinks_and_the_callbacks_after_it():
    seen = []

    class Sink:
        def write(self, step, metrics):
            seen.append(metrics["mine/steps"])

        def close(self):
            pass

    def first(trainer, metrics):
        metrics["mine/steps"] = trainer.step

    def second(trainer, metrics):
        assert metrics["mine/steps"] == trainer.step

    PPO(CountingEnv, SMALL).learn(callbacks=[first, second], sinks=[Sink()])
    assert seen == [16, 32, 48, 64]


class Only(CountingEnv):
    """A second one would drive the very same game."""

    made = 0

    def __init__(self):
        super().__init__(longest=30, metadata={"hakisa_contract": 1, "exclusive": True})
        Only.made += 1


@pytest.mark.parametrize("own", [False, True])
def test_where_there_can_be_no_other_env_the_running_episodes_are_closed_and_it_is_evaluated(own):
    config = PPOConfig(total_steps=64, num_envs=1, n_steps=16, minibatch_size=8, epochs=1, hidden_sizes=(4,))
    ends = []

    def watch(trainer, metrics):
        rollout = trainer.buffer.rollout(16)
        ends.append((rollout.column("truncated")[-1].tolist(), "eval/mean_reward" in metrics))
        assert rollout.column("age")[0].tolist() == [0] or not ends[:-1] or not ends[-2][1]

    agent = PPO(Only() if own else Only, config, seed=1)
    made = Only.made
    agent.learn(callbacks=[watch], evaluate_every=32, evaluate_episodes=2)
    assert [evaluated for _, evaluated in ends] == [False, True, False, True]
    assert [cut for cut, evaluated in ends if evaluated] == [[True], [True]]
    assert Only.made == made  # no other one
    agent.evaluate(2)
    assert Only.made == made
