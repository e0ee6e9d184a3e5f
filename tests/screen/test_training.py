"""A trainer of hakisa on a live game: what a person's kill chord does to the run."""

import gymnasium as gym
from Xlib import XK, X

from hakisa_algos.agent import PPO
from hakisa_algos.learners.ppo import PPOConfig
from hakisa_algos.training.checkpoint import load_checkpoint

from .helpers import Screen


def test_kill_chord_stops_and_saves_the_run(tmp_path):
    env = gym.make("hakisa_envs:Hakisa/ScreenGame-v0", game="flash", rate=60.0)
    config = PPOConfig(num_envs=1, n_steps=16, minibatch_size=16, epochs=1)
    people = []

    def press(trainer, metrics):
        if not people:
            people.append(person := Screen(env.unwrapped._session.display.name))
            for keysym in (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12):
                person.display.xtest_fake_input(X.KeyPress, person.keycode(keysym))
            person.display.sync()

    agent = PPO(env, config, threads=1).learn(16 * 60, run=tmp_path / "run", callbacks=[press])
    assert agent._trainer.stopped_by == "Killed"
    assert 16 <= agent._trainer.step < 16 * 60
    assert load_checkpoint(tmp_path / "run" / "checkpoints")["step"] == agent._trainer.step
    own = {people[0].keycode(keysym) for keysym in (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12)}
    assert people[0].held() <= own  # what is still down is the person's
    people[0].close()
    env.close()
