"""A trainer of hakisa on a live game: what a person's kill chord does to the run."""

import threading
import time
from dataclasses import replace

import gymnasium as gym
from Xlib import X

from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo_config import PPOConfig
from hakisa_algos.training.checkpoint import load_checkpoint
from hakisa_envs.screen.game import Actions
from hakisa_envs.screen.profile import load_profile

from .helpers import CHORD, Screen, press_chord


def test_kill_chord_stops_and_saves_the_run_of_an_agent_that_taps_control_itself(where, tmp_path):
    keys = Actions(commands=("tap",), keys=("Control_L", "Control_R"))  # it can do nothing else
    profile = replace(load_profile("flash"), actions=keys, reset=())
    env = gym.make("hakisa_envs:Hakisa/ScreenGame-v0", game=profile, rate=30.0, **where)
    config = PPOConfig(num_envs=1, n_steps=16, minibatch_size=16, epochs=1)
    people = []

    def press(person):
        for keysym in CHORD:  # at a hand's pace, while the agent goes on
            person.display.xtest_fake_input(X.KeyPress, person.keycode(keysym))
            person.display.sync()
            time.sleep(0.1)

    def begin(trainer, metrics):
        if not people:
            person = Screen(env.unwrapped._session.display.name)
            people.extend([person, threading.Thread(target=press, args=(person,))])
            people[1].start()

    agent = PPO(env, config, threads=1).learn(16 * 60, run=tmp_path / "run", callbacks=[begin])
    person, hand = people
    hand.join()
    assert agent._trainer.stopped_by == "Killed"
    assert 16 <= agent._trainer.step < 16 * 60
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["step"] == agent._trainer.step
    assert person.held() <= {person.keycode(keysym) for keysym in CHORD}  # what is still down is the person's
    press_chord(person, [X.KeyRelease])
    person.close()
    env.close()
