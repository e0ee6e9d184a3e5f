"""Stable-Baselines3 as a peer: the same protocol, its own settings, a clear word where it cannot play."""

import pytest

pytest.importorskip("stable_baselines3")

from hakisa_algos.comparison.job import _evaluate, load_result, run_job
from hakisa_algos.comparison.plan import Job, Protocol
from hakisa_algos.comparison.players import make_player
from hakisa_algos.errors import ConfigError

PROTOCOL = Protocol(
    steps=300, points=2, curve_episodes=2, final_episodes=4, film_steps=0, changes={"sb3-ppo.n_steps": 64}
)


def test_a_run_is_measured_like_ours_and_is_the_same_again(tmp_path):
    job = Job("sb3-ppo", "Hakisa/Press-v0", 1, PROTOCOL)
    first, second = (run_job(job, tmp_path / name) for name in ("one", "two"))
    assert load_result(job, tmp_path / "one") == first
    assert first["final"] == second["final"]
    assert first["steps"] == second["steps"] == 320
    assert [len(first["final"][way]["returns"]) for way in ("deterministic", "stochastic")] == [4, 4]
    assert (first["config"], first["source"]) == ({"num_envs": 1, "n_steps": 64}, "SB3's own defaults")


def test_training_changes_what_it_plays():
    job = Job("sb3-a2c", "Hakisa/Press-v0", 1, Protocol(steps=4_000))
    peer = make_player(job)
    try:
        before = _evaluate(peer, job, 20, seed=1)
        assert peer.train(lambda step: True) == 4_000
        assert _evaluate(peer, job, 20, seed=1).mean > before.mean + 3
    finally:
        peer.close()


def test_a_watch_that_says_false_ends_it():
    peer = make_player(Job("sb3-dqn", "CartPole-v1", 1, Protocol(steps=10_000)))
    try:
        assert peer.train(lambda step: step < 50) == 50
    finally:
        peer.close()


def test_the_zoo_is_asked_only_where_it_has_the_env():
    zoo = Protocol(steps=300, peer_settings="zoo")
    found = {}
    for env in ("CartPole-v1", "Hakisa/Press-v0"):
        peer = make_player(Job("sb3-ppo", env, 1, zoo))
        found[env] = (peer.source, dict(peer.config))
        peer.close()
    source, config = found["CartPole-v1"]
    assert source == "RL Baselines3 Zoo, hyperparams/ppo.yml, CartPole-v1"
    assert (config["num_envs"], config["learning_rate"]) == (8, "lin_0.001")
    assert found["Hakisa/Press-v0"] == ("SB3's own defaults", {"num_envs": 1})


def test_an_action_space_that_sb3_does_not_take_is_said_in_words():
    with pytest.raises(ConfigError, match="SB3's DQN does not take Hakisa/Press-v0"):
        make_player(Job("sb3-dqn", "Hakisa/Press-v0", 1, PROTOCOL))
