"""One update of PPO: ratios start at 1, the target KL ends it in time, and schedules follow the run."""

import pytest
import torch

from hakisa_algos.learners import ppo
from hakisa_algos.learners.ppo import PPOLearner
from hakisa_algos.learners.ppo_config import PPOConfig
from tests.helpers.counting import counting_envs
from tests.helpers.learning import make_loop


@pytest.fixture
def ratios(monkeypatch):
    """The ratios of every minibatch, in order."""
    seen = []
    real = ppo.clipped_policy_loss

    def record(ratio, advantage, clip):
        seen.append(ratio.detach().clone())
        return real(ratio, advantage, clip)

    monkeypatch.setattr(ppo, "clipped_policy_loss", record)
    return seen


@pytest.mark.parametrize(
    ("env", "options", "network"),
    [
        ("CartPole-v1", None, "auto"),
        ("Hakisa/Press-v0", None, "auto"),
        ("Hakisa/Press-v0", {"observation": "pixels", "grid_size": 9}, "small"),
        ("Hakisa/Pong-v0", {"frame_size": 42, "noop_max": 0}, "small"),
        (counting_envs("foreign_next_step", n=8), None, "auto"),
    ],
    ids=["discrete", "conditional", "pixels", "stacked pixels", "NEXT_STEP"],
)
def test_the_first_minibatch_has_ratio_1(env, options, network, ratios):
    loop = make_loop(
        env, num_envs=8, options=options, n_steps=32, minibatch_size=64, learning_rate=3e-3, network=network
    )
    for _ in range(3):
        ratios.clear()
        loop.step()
        assert (ratios[0] - 1).abs().max() <= 1e-6
        assert max((ratio - 1).abs().max() for ratio in ratios[1:]) > 1e-3  # else the line above shows nothing
    loop.envs.close()


def test_bf16_starts_at_ratio_1_too(ratios):
    """Acting and updating in the same precision; only the batch sizes differ."""
    options = {"observation": "pixels", "grid_size": 9}
    loop = make_loop("Hakisa/Press-v0", num_envs=8, options=options, network="small", precision="bf16")
    assert loop.learner.policy.bf16
    for _ in range(3):
        ratios.clear()
        assert all(v == v for k, v in loop.step().items() if k != "train/explained_variance")
        assert (ratios[0] - 1).abs().max() <= 2e-3


def watch(loop):
    """Records the KL of every minibatch that is looked at, and counts the steps that are taken."""
    kls, steps = [], []
    real_loss, real_step = loop.learner._loss, loop.learner.descent.optimizer.step

    def loss(*arguments):
        result, terms = real_loss(*arguments)
        kls.append(float(terms["approx_kl"]))
        return result, terms

    def step(*arguments, **keywords):
        steps.append(len(kls))
        return real_step(*arguments, **keywords)

    loop.learner._loss, loop.learner.descent.optimizer.step = loss, step
    return kls, steps


def test_the_target_kl_ends_the_whole_update_before_the_step():
    loop = make_loop("CartPole-v1", n_steps=64, minibatch_size=32, epochs=10, learning_rate=0.02, target_kl=0.01)
    kls, steps = watch(loop)
    stopped = 0
    for _ in range(5):
        kls.clear()
        steps.clear()
        metrics = loop.step()
        assert metrics["train/gradient_steps"] == len(steps)
        assert all(kl <= 0.015 for kl in kls[: len(steps)])
        assert metrics["train/stopped_by_kl"] == (len(kls) > len(steps))
        if metrics["train/stopped_by_kl"]:
            stopped += 1
            assert kls[-1] > 0.015
            assert len(kls) == len(steps) + 1 < 80
        else:
            assert len(steps) == 80
    assert stopped >= 3


def test_the_kl_that_ended_an_update_is_logged():
    """Otherwise one step that ruins the policy looks like a small one, to people and to the collapse detector."""
    loop = make_loop("CartPole-v1", n_steps=64, minibatch_size=32, learning_rate=0.5, target_kl=0.01)
    metrics = [loop.step() for _ in range(4)]
    worst = max(metrics, key=lambda m: m["train/stopped_by_kl"] / m["train/gradient_steps"])
    assert worst["train/stopped_by_kl"]
    assert worst["train/approx_kl"] > 0.015


def test_an_update_that_stops_before_its_first_step_changes_nothing():
    loop = make_loop("CartPole-v1", target_kl=1e-30)
    loop.step()
    before = {k: v.clone() for k, v in loop.learner.policy.state_dict().items()}
    loop.collect()
    judge = loop.learner.policy.judge
    loop.learner.policy.judge = lambda *seen: (found := judge(*seen)) | {"log_prob": found["log_prob"] + 0.5}
    metrics = loop.learner.update(loop.buffer)
    assert metrics["train/gradient_steps"] == 0
    assert metrics["train/stopped_by_kl"] == 1
    assert all(torch.equal(v, before[k]) for k, v in loop.learner.policy.state_dict().items())


@pytest.mark.parametrize("env", ["CartPole-v1", "Hakisa/Press-v0"])
def test_what_is_judged_later_is_what_was_thought_when_acting(env):
    """The same actions, and the same update, as when the critic is asked at every step."""
    later, at_once = (make_loop(env, n_steps=64, minibatch_size=32, normalize_observation=True) for _ in range(2))
    at_once.learner.policy._small = None
    for _ in range(3):
        later.collect()
        at_once.collect()
        assert [{"log_prob", "value"} <= set(loop.buffer._arrays) for loop in (later, at_once)] == [False, True]
        assert (later.buffer._arrays["action"] == at_once.buffer._arrays["action"]).all()
        expected, found = (loop.learner.update(loop.buffer) for loop in (at_once, later))
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_without_a_target_every_minibatch_is_a_step():
    loop = make_loop("CartPole-v1", n_steps=16, minibatch_size=24, epochs=3)
    _, steps = watch(loop)
    metrics = loop.step()
    assert metrics["train/gradient_steps"] == len(steps) == 3 * 3  # 64 rows: 24 + 24 + 16
    assert metrics["train/stopped_by_kl"] == 0


def test_every_row_is_used_once_per_epoch_and_in_another_order(monkeypatch):
    loop = make_loop("CartPole-v1", n_steps=16, minibatch_size=24, epochs=2)
    parts = []
    real = loop.learner._loss
    loop.learner._loss = lambda *given: parts.append(given[1].index) or real(*given)
    loop.step()
    first, second = torch.cat(parts[:3]), torch.cat(parts[3:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(64))
    assert not torch.equal(first, second)


def test_schedules_follow_the_steps_of_the_run():
    loop = make_loop(
        "CartPole-v1", total_steps=256, n_steps=16, clip_schedule="cosine", learning_rate=1e-2, clip=0.4, epochs=1
    )
    metrics = [loop.step() for _ in range(5)]  # 64 steps each
    assert [m["train/learning_rate"] for m in metrics] == pytest.approx([1e-2, 0.75e-2, 0.5e-2, 0.25e-2, 0])
    half = 0.2 * 2**-0.5
    assert [m["train/clip"] for m in metrics] == pytest.approx([0.4, 0.2 + half, 0.2, 0.2 - half, 0])
    assert loop.learner.descent.optimizer.param_groups[0]["lr"] == 0
    loop.learner.descent.learning_rate_scale = 100
    assert make_loop("CartPole-v1", learning_rate=1e-2).step()["train/learning_rate"] == pytest.approx(1e-2)


def test_the_scale_of_the_learning_rate_counts():
    loop = make_loop("CartPole-v1", learning_rate=1e-3, learning_rate_schedule="constant")
    loop.learner.descent.learning_rate_scale = 0.5
    assert loop.step()["train/learning_rate"] == pytest.approx(5e-4)


def test_gradients_are_clipped_to_their_norm():
    loop = make_loop("CartPole-v1", max_grad_norm=1e-3, epochs=1, minibatch_size=1000)
    metrics = loop.step()
    assert metrics["train/grad_norm"] > 1e-3  # as it was
    norm = sum(p.grad.square().sum() for p in loop.learner.policy.parameters()).sqrt()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_metrics_are_means_over_the_minibatches(monkeypatch):
    norms, kls = [], []
    real = PPOLearner._gradient

    def gradient(*arguments):
        terms = real(*arguments)
        norms.append(terms["grad_norm"])
        kls.append(terms["approx_kl"])
        return terms

    monkeypatch.setattr(PPOLearner, "_gradient", gradient)
    metrics = make_loop("CartPole-v1", epochs=3, minibatch_size=24, learning_rate=1e-2).step()
    assert len(norms) == len(kls) == 9
    assert metrics["train/grad_norm"] == pytest.approx(float(sum(norms) / 9), rel=1e-5)
    assert metrics["train/approx_kl"] == pytest.approx(float(sum(kls) / 9), rel=1e-5)


def test_versions_and_updates_count_up():
    loop = make_loop("CartPole-v1")
    assert [loop.step()["train/n_updates"] for _ in range(3)] == [1, 2, 3]
    assert loop.learner.policy.version == 3


def test_defaults_for_pictures_and_vectors():
    from gymnasium import spaces

    picture = PPOLearner.default_config(spaces.Box(0, 255, (4, 84, 84), "uint8"))
    vector = PPOLearner.default_config(spaces.Box(-1, 1, (4,)))
    assert vector == PPOConfig()
    assert picture.num_envs == 16
    assert picture.entropy_coefficient > 0
