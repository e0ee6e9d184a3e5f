"""The games of stages.py: how each is opened, taught and learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import teach_lbreakout2

from hakisa_algos.learners.dqn import DQNConfig, DQNLearner
from hakisa_algos.learners.ppo_config import FOR_PICTURES, PPOConfig


@dataclass(frozen=True)
class Game:
    """One game, with one teacher.

    Attributes:
        name: In file names.
        unit: What an episode is.
        env: Its id.
        options: Of the env.
        teach: Makes a recording: of a folder, the teacher's delay in steps, its share of random actions, a seed, and
            minutes or a number of episodes.
        delay: The teacher's.
        points: Of the game, per unit of reward.
        loss: What the end of an episode costs in training, in units of reward.
        live: It is played in real time.
        longest: Steps after which an episode is cut.
        rate: Steps per second of one display.
        displays: Played at the same time.
        minutes: Of training.
        ppo: Its hyperparameters, the same in all arms.
        dqn: Likewise.
    """

    name: str
    unit: str
    env: str
    options: Mapping[str, Any]
    teach: Callable[..., dict[str, Any]]
    delay: int
    points: float
    loss: float
    live: bool
    longest: int
    rate: float
    displays: int
    minutes: float
    ppo: PPOConfig
    dqn: DQNConfig


# A ball takes about 40 steps from the paddle to the bricks and back; the other numbers are screen_learning.py's. The
# critic has a network of its own in every arm, as a clone's must have.
_LIVE_PPO = dataclasses.replace(FOR_PICTURES, n_steps=128, epochs=6, gamma=0.97, own_critic=True)
# A live game is paused for each update, so there are few of them, as long as PPO's; learned from as often as on Atari.
_LIVE_DQN = dataclasses.replace(
    DQNLearner.for_pictures,
    gamma=0.97,
    learning_starts=2_048,
    train_every=1_024,
    gradient_steps=256,
    demonstration_share=0.25,
    learn_beside=False,
)

LBREAKOUT2 = Game(
    name="lbreakout2",
    unit="life",
    env="Hakisa/ScreenGame-v0",
    options={"game": "lbreakout2", "timeout": 5.0, "max_episode_steps": teach_lbreakout2.LONGEST},
    teach=teach_lbreakout2.teach,
    delay=2,
    points=100.0,
    loss=1.0,
    live=True,
    longest=teach_lbreakout2.LONGEST,
    rate=30.0,
    displays=8,
    minutes=15.0,
    ppo=_LIVE_PPO,
    dqn=_LIVE_DQN,
)

GAMES = {game.name: game for game in (LBREAKOUT2,)}
