"""PPO from a clone: held to it while it plays better, and a critic that learns first."""

import json
import math

import pytest
import torch

from hakisa_algos import A2C, DQN, PPO, Agent, PPOConfig
from hakisa_algos.cli.main import main
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.prior import prior_weight
from tests.helpers.learning import assert_same, make_loop

PIXELS = {"observation": "pixels", "grid_size": 9}
# Env, its options, and hyperparameters with which the critic shares nothing.
KINDS = {
    "vectors": ("CartPole-v1", None, {"normalize_observation": True}),
    "conditional": ("Hakisa/Press-v0", None, {}),
    "pictures": ("Hakisa/Press-v0", PIXELS, {"network": "small", "own_critic": True, "normalize_observation": True}),
    "memory": ("CartPole-v1", None, {"memory": "lstm", "memory_chunk": 8, "own_critic": True}),
}


def loop_of(kind, **changes):
    env, options, config = KINDS[kind]
    return make_loop(env, options=options, **(config | {"entropy_coefficient": 0.01, "epochs": 2} | changes))


def hold(loop, clone=1.0, random=0.0, now=1.0):
    """To what it is now."""
    loop.learner.hold_to({name: entries.clone() for name, entries in loop.learner.policy.state_dict().items()})
    prior = loop.learner.prior
    prior.clone_return, prior.random_return, prior.now = clone, random, now
    return prior


def weights(loop):
    return {name: entries.clone() for name, entries in loop.learner.policy.state_dict().items()}


@pytest.mark.parametrize(
    ("clone", "random", "now", "weight"),
    [
        (10, 0, 10, 0),
        (10, 0, 20, 0),
        (10, 0, 5, 0.5),
        (10, 0, 0, 1),
        (10, 0, -5, 1),
        (-5, -21, -13, 0.5),  # Pong: a quotient of returns would say that this is better than the clone
        (-5, -21, -4, 0),
        (-5, -21, -21, 1),
        (0, 0, -3, 0),  # a clone that is no better than random play
        (-22, -21, -21.5, 0),
        (21, -21, 21, 0),  # one that cannot be passed
        (21, -21, 20, 1 / 42),
        (math.nan, math.nan, math.nan, 1),  # before the first evaluation
    ],
)
def test_the_weight_is_what_is_missing_to_the_clone_measured_from_random_play(clone, random, now, weight):
    assert prior_weight(clone, random, now) == pytest.approx(weight)


@pytest.mark.parametrize("kind", KINDS)
def test_with_weight_0_it_is_plain_ppo_to_the_last_bit(kind):
    plain, held = loop_of(kind), loop_of(kind)
    hold(held, now=1.0)
    for _ in range(3):
        one, two = plain.step(), held.step()
        assert two.pop("train/prior_weight") == 0
        assert_same(one, two)
    assert_same(weights(plain), weights(held))


@pytest.mark.parametrize("kind", KINDS)
def test_the_prior_sees_and_remembers_as_the_policy_that_acts(kind):
    """A policy that hardly moves stays where its prior is, through episodes, rollouts and chunks."""
    loop = loop_of(kind, learning_rate=1e-12, freeze_normalizer=True)
    hold(loop, now=0.0)
    for _ in range(6):
        metrics = loop.step()
        assert metrics["train/prior_weight"] == 1
        assert abs(metrics["train/prior_kl"]) < 1e-6
    if kind == "memory":  # else this shows nothing: forgetful priors differ
        loop.learner.prior._state = {}
        with torch.no_grad():
            loop.learner.policy.heads.linear.weight.mul_(100)
            loop.learner.prior.policy.heads.linear.weight.mul_(100)
        assert loop.step()["train/prior_kl"] > 1e-6


def test_its_normaliser_and_weights_never_change_and_it_holds():
    moved = {}
    for now in (0.0, 1.0):
        loop = loop_of("vectors", learning_rate=0.02, prior_coefficient=10.0)
        loop.step()  # a clone has statistics
        prior = hold(loop, now=now)
        before = {name: entries.clone() for name, entries in prior.policy.state_dict().items()}
        for _ in range(5):
            loop.step()
        assert_same(before, dict(prior.policy.state_dict()))
        moved_on = dict(loop.learner.policy.normalizer.named_buffers())
        assert any(not torch.equal(entries, before[f"normalizer.{name}"]) for name, entries in moved_on.items())
        observation = torch.randn(256, 4)
        with torch.no_grad():
            there, here = prior.policy(observation)[0], loop.learner.policy(observation)[0]
            moved[now] = float(there.divergence(here).mean())
    assert moved[0.0] < 0.2 * moved[1.0]


def of_policy(name, entries):
    """What acts: of a pair of networks the first."""
    if name.startswith("value_"):
        return None
    return entries[0] if name.startswith(("trunk.weights", "trunk.biases")) else entries


@pytest.mark.parametrize("kind", KINDS)
def test_the_warm_up_leaves_every_weight_and_statistic_of_the_policy_untouched(kind):
    loop = loop_of(kind, critic_warmup=10_000, learning_rate=3e-3)
    loop.learner._warmed = True
    loop.step()  # so that the optimizer has momentum
    loop.learner._warmed = False
    before = weights(loop)
    for _ in range(2):
        loop.learner._warmed = False
        assert loop.step()["train/critic_warmup"] == 1
    after = weights(loop)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("value_head" in name for name in changed)
    assert any("trunk" in name for name in changed)
    for name in before:
        own = of_policy(name, before[name])
        assert own is None or torch.equal(own, of_policy(name, after[name])), name


def test_the_warm_up_ends_with_a_good_critic_or_at_its_cap():
    loop = loop_of("vectors", critic_warmup=3 * 64)
    assert ["train/critic_warmup" in loop.step() for _ in range(4)] == [True, True, True, False]
    more = {"n_steps": 64, "epochs": 20, "learning_rate": 3e-3, "normalize_observation": False}
    loop = loop_of("vectors", critic_warmup=10_000, gamma=0.9, **more)
    seen = [loop.step() for _ in range(30)]
    warm = ["train/critic_warmup" in metrics for metrics in seen]
    last = warm.index(False) - 1
    assert seen[last]["train/explained_variance"] > 0.5
    assert all(metrics["train/explained_variance"] <= 0.5 for metrics in seen[:last])
    assert not any(warm[last + 1 :])


SMALL = {"num_envs": 2, "n_steps": 16, "minibatch_size": 16, "epochs": 2, "hidden_sizes": (16,)}
EVALUATED = {"evaluate_every": 64, "evaluate_episodes": 2, "evaluate_steps": 20}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A run to begin from; it need not play well."""
    folder = tmp_path_factory.mktemp("prior") / "clone"
    agent = PPO("CartPole-v1", PPOConfig(memory="gru", memory_chunk=8, own_critic=True, critic_warmup=64, **SMALL))
    agent.learn(32, run=folder)
    agent.close()
    return folder


def state_after(agent, steps, run, **options):
    agent.learn(steps, run=run, **options)
    state = agent.learner.state()
    agent.close()
    return state


def test_a_run_with_warm_up_and_prior_is_resumed_bit_for_bit(clone, tmp_path):
    whole = state_after(PPO("CartPole-v1", prior=clone), 320, tmp_path / "whole", **EVALUATED)
    agent = PPO("CartPole-v1", prior=clone)
    # As long as the whole one, and stopped after its first evaluation.
    state_after(agent, 320, tmp_path / "half", callbacks=lambda trainer, metrics: trainer.step < 192, **EVALUATED)
    half = Agent.load(tmp_path / "half")
    assert half.steps == 192
    prior = half.learner.prior
    assert prior.now == prior.now  # it was told
    assert_same(whole, state_after(half, 320, None))
    assert whole["prior"]["memory"]
    rows = [json.loads(line) for line in (tmp_path / "half" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "train/critic_warmup" in row] == [32, 64]
    assert {"eval/prior_reward", "eval/random_reward", "eval/prior_weight"} <= {n for row in rows for n in row}


def test_what_does_not_go_with_a_prior_is_named(clone, tmp_path):
    def refused(match, make, **options):
        with pytest.raises(ConfigError, match=match):
            make("CartPole-v1", prior=clone, **options)

    refused("a run of ppo, and this is dqn", DQN)
    refused("a run of ppo, and this is a2c", A2C)
    refused("does not fit: config.own_critic cannot be", PPO, config=PPOConfig(**SMALL))
    with pytest.raises(ConfigError, match="does not fit: this env"):
        PPO("Acrobot-v1", prior=clone)
    agent = PPO("CartPole-v1", prior=clone)
    with pytest.raises(ConfigError, match="set evaluate_every"):
        agent.learn(64)
    agent.close()
    with pytest.raises(ConfigError, match="own_critic=True"):
        PPO("CartPole-v1", PPOConfig(critic_warmup=64, memory="gru", memory_chunk=8, **SMALL))


def test_from_the_command_line_the_prior_says_env_and_hyperparameters(clone, tmp_path, capsys):
    run = tmp_path / "run"
    said = ["--prior", str(clone), "--run", str(run), "--total-steps", "96", "--evaluate-episodes", "1"]
    assert main(["train", "ppo", *said]) == 0
    capsys.readouterr()
    config = json.loads((run / "config.json").read_text())
    assert (config["env"], config["config"]["memory"], config["options"]["evaluate_every"]) == ("CartPole-v1", "gru", 2)
    assert main(["train", "ppo", "--prior", str(clone), "--preset", "hakisa"]) == 2
    assert "--preset hakisa does not go with --prior" in capsys.readouterr().err
