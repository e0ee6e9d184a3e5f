"""What PPO learns from with memory: the states that the policy acted with, and nothing across an episode's end."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn

from hakisa_algos import A2C, PPO, Agent
from hakisa_algos.errors import ConfigError, NonFiniteError
from hakisa_algos.learners.dqn import DQNConfig
from hakisa_algos.learners.ga import GAConfig
from hakisa_algos.learners.ppo import A2CLearner, PPOLearner, REINFORCELearner
from hakisa_algos.learners.ppo_config import A2CConfig, PPOConfig
from hakisa_algos.learners.pqn import PQNConfig
from hakisa_algos.policy.policy import ActorCritic, Chunks
from tests.helpers.counting import ForeignVectorEnv
from tests.helpers.learning import assert_same, make_loop


class Walk(gym.Env):
    """Random observations; an episode ends at a random time, by its own rules or because it is cut off."""

    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(-9, 9, (4,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.draw(), {}

    def draw(self):
        seen = self.np_random.normal(size=4).astype(np.float32)
        return {"a": seen, "b": seen[:2]} if isinstance(self.observation_space, spaces.Dict) else seen

    def step(self, action):
        ends = self.np_random.random(2) < 0.08
        return self.draw(), float(self.np_random.normal()), bool(ends[0]), bool(ends[1] and not ends[0]), {}


class Keyed(Walk):
    observation_space = spaces.Dict({"a": Walk.observation_space, "b": spaces.Box(-9, 9, (2,), np.float32)})


class Pictures(Walk):
    observation_space = spaces.Box(0, 255, (20, 20, 1), np.uint8)

    def draw(self):
        return self.np_random.integers(0, 256, (20, 20, 1), np.uint8)


class Own(nn.Module):
    features = 5

    def __init__(self, space):
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, observation):
        return self.layer(observation).tanh()


MODES = {
    "masked": lambda make: make,
    "next step": lambda make: ForeignVectorEnv(SyncVectorEnv([make] * 4, autoreset_mode=AutoresetMode.NEXT_STEP)),
    "same step": lambda make: ForeignVectorEnv(SyncVectorEnv([make] * 4, autoreset_mode=AutoresetMode.SAME_STEP)),
}
KINDS = {
    "small": (Walk, {}),
    "normalised": (Walk, {"normalize_observation": True}),
    "dict": (Keyed, {}),
    "pictures": (Pictures, {"network": "small"}),
    "own": (Walk, {"factory": Own}),
}


def loop_of(make=Walk, mode="masked", learner=PPOLearner, **changes):
    changes = {"n_steps": 32, "memory": "lstm", "memory_size": 8, "memory_chunk": 8, **changes}
    loop = make_loop(MODES[mode](make), learner, **changes)
    torch.manual_seed(1)
    for parameter in loop.learner.policy.heads.parameters():  # so that what it remembers matters
        with torch.no_grad():
            parameter.normal_()
    return loop


def replayed(policy, rollout, buffer):
    """Log-probability of each action and each value, row by row, from the first row's state on."""
    state, found = rollout.state(0), {"log_prob": [], "value": []}
    n = rollout.num_envs
    action, age = rollout.column("action"), rollout.column("age")
    for row in range(rollout.length):
        state = policy.begin(age[row] == 0, state)
        observation = rollout.observation(torch.arange(row * n, (row + 1) * n))
        with torch.no_grad():
            distribution, value, state = policy._next(observation, state)
        found["log_prob"].append(distribution.log_prob(action[row]))
        found["value"].append(value)
    return {name: torch.stack(entries) for name, entries in found.items()}, state


@pytest.mark.parametrize("memory", ["lstm", "gru"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_minibatch_finds_the_policy_that_acted(kind, mode, memory):
    make, changes = KINDS[kind]
    loop = loop_of(make, mode, memory=memory, **changes)
    ratios = []
    for _ in range(2):  # the second rollout begins in the middle of episodes
        rollout = loop.collect()
        acted, _ = replayed(loop.learner.policy, rollout, loop.buffer)
        stored = rollout.column("log_prob") if rollout.has("log_prob") else acted["log_prob"]
        torch.testing.assert_close(stored, acted["log_prob"], rtol=0, atol=2e-6)
        loss, first = loop.learner._loss, []

        def spy(observation, part, *rest, loss=loss, first=first):
            if not first:
                with torch.no_grad():
                    distribution, _ = loop.learner.policy(observation, rest[-1])
                    first.append((distribution.log_prob(part.action) - part.log_prob).exp())
            return loss(observation, part, *rest)

        loop.learner._loss = spy
        loop.learner.update(loop.buffer)
        loop.learner._loss = loss
        ratios.append((first[0] - 1).abs().max().item())
    assert max(ratios) <= 1e-6


@pytest.mark.parametrize("memory", ["lstm", "gru"])
@pytest.mark.parametrize("mode", MODES)
def test_it_acts_as_it_is_judged(mode, memory):
    """In NumPy: the actions are those that the replayed policy draws with the same noise."""
    loop = loop_of(mode=mode, memory=memory)
    generator = torch.Generator().manual_seed(0)
    loop.collector.generator = torch.Generator().manual_seed(0)
    rollout, policy = loop.collect(), loop.learner.policy
    assert not rollout.has("log_prob")
    state, n = rollout.state(0), rollout.num_envs
    for row in range(rollout.length):
        state = policy.begin(rollout.column("age")[row] == 0, state)
        observation = rollout.observation(torch.arange(row * n, (row + 1) * n))
        noise = policy.heads.noise(n, generator)
        with torch.no_grad():
            action, *_, state = policy._draw(observation, noise, state)
        assert torch.equal(action, rollout.column("action")[row])


class Leaky(ActorCritic):
    def begin(self, mask, state):
        return state


@pytest.mark.parametrize("mode", MODES)
def test_a_state_that_leaks_over_an_episodes_end_is_noticed(mode):
    loop = loop_of(Pictures, mode, network="small")
    loop.learner.policy.__class__ = Leaky
    rollout = loop.collect()
    loop.learner.policy.__class__ = ActorCritic
    acted, _ = replayed(loop.learner.policy, rollout, loop.buffer)
    assert (acted["log_prob"] - rollout.column("log_prob")).abs().max() > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_a_truncated_episode_is_worth_what_its_own_state_says(mode):
    loop = loop_of(mode=mode, n_steps=64)
    rollout, policy = loop.collect(), loop.learner.policy
    n = rollout.num_envs
    # The states before each row, row by row.
    carried, after = rollout.state(0), []
    for row in range(rollout.length):
        carried = policy.begin(rollout.column("age")[row] == 0, carried)
        observation = rollout.observation(torch.arange(row * n, (row + 1) * n))
        with torch.no_grad():
            *_, carried = policy._next(observation, carried)
        after.append(carried)
    captured = []
    value = policy.value
    policy.value = lambda seen, state: captured.append((seen, state)) or value(seen, state)
    loop.learner.update(loop.buffer)
    seen, state = captured[0]
    cut = torch.nonzero(rollout.column("truncated"))
    assert len(cut) > 3
    finals = rollout.final_observations()
    for number, (row, column) in enumerate(cut.tolist()):
        assert torch.equal(seen[n + number], finals[number])
        torch.testing.assert_close(state["h"][n + number], after[row]["h"][column], rtol=0, atol=1e-5)
    begun = policy.begin(torch.from_numpy(loop.buffer._age == 0), after[-1])
    torch.testing.assert_close(state["h"][:n], begun["h"], rtol=0, atol=1e-5)


def test_losses_and_moments_see_learned_rows_alone():
    loop = loop_of(mode="next step", epochs=1)
    seen = []
    loss = loop.learner._loss
    loop.learner._loss = lambda observation, part, *rest: seen.append(part) or loss(observation, part, *rest)
    rollout = loop.collect()
    loop.learner.update(loop.buffer)
    index = torch.cat([part.index for part in seen]).sort().values
    learned = torch.nonzero(rollout.column("learned").flatten()).squeeze(1)
    assert len(learned) < len(rollout)
    assert torch.equal(index, learned)
    for part in seen:
        assert len(part) == len(part.action) == len(part.advantage)


@pytest.mark.parametrize("learner", [A2CLearner, REINFORCELearner])
def test_the_others_of_its_kind_have_it_too(learner):
    loop = loop_of(learner=learner, n_steps=16, minibatch_size=10**9)
    before = {name: tensor.clone() for name, tensor in loop.learner.policy.memory.named_parameters()}
    metrics = loop.step()
    assert np.isfinite(metrics["train/loss"])
    assert all(not torch.equal(before[name], tensor) for name, tensor in loop.learner.policy.memory.named_parameters())


def test_states_are_computed_anew_between_epochs():
    loop = loop_of(memory_chunk=8, epochs=3, learning_rate=0.05, memory_refresh=True)
    found = []
    remember = loop.learner.policy.remember
    loop.learner.policy.remember = lambda *arguments: found.append(remember(*arguments)) or found[-1]
    rollout = loop.collect()
    loop.learner.update(loop.buffer)
    assert len(found) == 2 * 3  # between three epochs, for all chunks of a column but the first
    stored = rollout.state(8)
    assert not torch.allclose(found[0]["h"], stored["h"], atol=1e-4)
    assert not torch.allclose(found[3]["h"], found[0]["h"], atol=1e-4)
    still = loop_of(memory_chunk=8, epochs=3, learning_rate=0.05, memory_refresh=False)
    still.learner.policy.remember = None
    still.step()


@pytest.mark.parametrize("vectorization", ["auto", "async"])
def test_a_resumed_run_is_the_same_run_in_the_middle_of_an_episode(tmp_path, vectorization):
    rollouts = {"num_envs": 2, "n_steps": 16, "minibatch_size": 16, "learning_rate_schedule": "constant"}
    config = PPOConfig(**rollouts, memory="gru", memory_size=8, memory_chunk=8)
    whole = PPO("CartPole-v1", config, seed=3, vectorization=vectorization)
    whole.learn(320)
    part = PPO("CartPole-v1", config, seed=3, vectorization=vectorization)
    part.learn(160)
    part.save(tmp_path / "saved")
    part.close()
    going = PPO.load(tmp_path / "saved")
    going.learn(320)
    assert_same(going.learner.state(), whole.learner.state())
    for agent in (whole, going):
        agent.close()


def test_predict_carries_the_state_and_evaluation_plays_so():
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, memory="lstm", memory_size=8, memory_chunk=16)
    agent = PPO("CartPole-v1", config, seed=3)
    agent.learn(320)
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=7)
    state, history = None, []
    for _ in range(5):
        action, state = agent.predict(observation, state)
        history.append(observation)
        observation, *_ = env.step(action)
    assert set(state) == {"h", "c"}
    chunks = Chunks(agent.policy.initial_state(1), torch.zeros(5, 1, dtype=torch.bool))
    expected = agent.policy.remember(torch.from_numpy(np.stack(history)), chunks)
    torch.testing.assert_close(state["h"], expected["h"], rtol=0, atol=1e-5)
    assert agent.evaluate(4, seed=1).returns.tolist() == agent.evaluate(4, seed=1).returns.tolist()


def test_predict_says_what_does_not_go_together():
    agent = PPO("CartPole-v1", PPOConfig(memory="lstm", memory_size=8))
    one, two = np.zeros(4, np.float32), np.zeros((2, 4), np.float32)
    _, state = agent.predict(two)
    agent.predict(two, state, episode_start=[True, False])
    for wrong in (one, np.zeros((3, 4), np.float32)):
        with pytest.raises(ConfigError, match=r"state \{'h': \(2, 8\), 'c': \(2, 8\)\} does not go with [13] obs"):
            agent.predict(wrong, state)
    for wrong in ({}, (state["h"], state["c"]), {"h": state["h"]}):
        with pytest.raises(ConfigError, match=r"does not go with 2 observations, whose state is .*None where all"):
            agent.predict(two, wrong)
    with pytest.raises(ConfigError, match=r"state \{'h': 'ndarray', 'c': 'ndarray'\} does not go with 2 obs"):
        agent.predict(two, {name: entries.numpy() for name, entries in state.items()})
    with pytest.raises(ConfigError, match=r"episode_start has shape \(1,\) for 2 observations"):
        agent.predict(two, state, episode_start=[True])


class Infinite(Walk):
    """Pays from its 40th step on what no loss can hold."""

    steps = 0

    def step(self, action):
        self.steps += 1
        observation, reward, *rest = super().step(action)
        return observation, 1e30 if self.steps >= 40 else reward, *rest


@pytest.mark.parametrize("mode", ["masked", "next step"])
def test_a_crash_file_replays_what_was_acted(tmp_path, mode):
    config = PPOConfig(num_envs=4, n_steps=32, minibatch_size=64, memory="gru", memory_size=8, memory_chunk=8)
    agent = PPO(MODES[mode](Infinite) if mode == "next step" else Infinite, config, seed=2)
    with pytest.raises(NonFiniteError):
        agent.learn(1024, run=tmp_path / "run")
    (file,) = (tmp_path / "run" / "crash").glob("*.npz")
    with np.load(file, allow_pickle=False) as crash:
        found = {name: torch.from_numpy(crash[name]) for name in crash.files}
    length, n = found["start"].shape
    observation = found["observation"].view(length, n, -1)
    log_prob, action = torch.full((2, length * n), torch.nan), torch.zeros(length * n, dtype=torch.int64)
    log_prob[0, found["index"]], action[found["index"]] = found["log_prob"], found["action"]
    for chunk in range(4):
        state = {"h": found["state.h"][chunk]}
        for row in range(chunk * 8, chunk * 8 + 8):
            state = agent.policy.begin(found["start"][row], state)
            with torch.no_grad():
                distribution, _, state = agent.policy._next(observation[row], state)
            log_prob[1, row * n : row * n + n] = distribution.log_prob(action[row * n : row * n + n])
    torch.testing.assert_close(log_prob[0, found["index"]], log_prob[1, found["index"]], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_steps": 100}, "n_steps=100 must be a multiple of memory_chunk=32, its default: take n_steps=96 or 128"),
        ({"n_steps": 100, "memory_chunk": 30}, "a multiple of memory_chunk=30: take n_steps=90 or 120, or a memory_ch"),
        ({"minibatch_size": 16}, "minibatch_size=16 must be at least memory_chunk=32"),
        ({"memory_size": 0}, "memory_size=0 must be greater than 0"),
        ({"memory_chunk": -1}, "memory_chunk=-1 must be greater than 0"),
        ({"memory_chunk": 64, "n_steps": 32}, "memory_chunk=64 is longer than a rollout, n_steps=32"),
        ({"memory": "rnn"}, "memory='rnn' is unknown"),
        ({"compile": True}, "compile=True does not go with memory='lstm'"),
    ],
)
def test_what_does_not_fit_is_named(wrong, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        PPOConfig(**({"memory": "lstm"} | wrong))


def test_a_rollout_shorter_than_a_chunk_is_one_chunk():
    assert A2CConfig(memory="gru").chunk == 5
    A2C("CartPole-v1", A2CConfig(memory="gru", num_envs=2)).learn(100).close()


@pytest.mark.parametrize("config", [DQNConfig, PQNConfig, GAConfig])
def test_methods_without_memory_refuse_it_by_name(config):
    with pytest.raises(ConfigError, match=r"memory='lstm': .* use ppo, a2c or reinforce"):
        config(memory="lstm")


def test_a_memory_of_another_size_is_refused_when_it_is_loaded(tmp_path):
    config = PPOConfig(num_envs=2, n_steps=16, minibatch_size=16, memory="gru", memory_size=8, memory_chunk=8)
    agent = PPO("CartPole-v1", config)
    agent.learn(32)
    agent.save(tmp_path / "saved")
    for change in ({"memory": "lstm"}, {"memory_size": 9}, {"memory": None}):
        with pytest.raises(ConfigError, match="memory"):
            Agent.load(tmp_path / "saved", config=change)
