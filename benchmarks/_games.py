"""The games of stages.py: how each is opened, taught and learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import _circus_teacher
import _pong_teacher
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
        steps: Of training, all displays together.
        lives: That players are measured on.
        teacher_lives: That the teacher is measured on, besides what is learned from.
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
    steps: int
    lives: int
    teacher_lives: int
    ppo: PPOConfig
    dqn: DQNConfig


# As in screen_learning.py, but that the critic has a network of its own in every arm, as a clone's must have.
_LIVE_PPO = dataclasses.replace(FOR_PICTURES, n_steps=128, epochs=6, gamma=0.97, own_critic=True)
# A live game is paused for each update: so there are few and long ones, with half of Atari's gradient steps in all.
_LIVE_DQN = dataclasses.replace(
    DQNLearner.for_pictures,
    gamma=0.97,
    learning_starts=2_048,
    train_every=1_024,
    gradient_steps=128,
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
    steps=216_000,  # 15 minutes
    lives=200,
    teacher_lives=300,
    ppo=_LIVE_PPO,
    dqn=_LIVE_DQN,
)

# Not a live game for those who learn, but for its teacher.
PONG = Game(
    name="pong",
    unit="game",
    env=_pong_teacher.ENV,
    options={},
    teach=_pong_teacher.teach,
    delay=2,
    points=1.0,
    loss=0.0,
    live=False,
    longest=27_000,
    rate=_pong_teacher.RATE,
    displays=16,
    steps=400_000,
    lives=100,
    teacher_lives=4,
    ppo=dataclasses.replace(FOR_PICTURES, own_critic=True),
    dqn=dataclasses.replace(DQNLearner.for_pictures, demonstration_share=0.25),
)

CIRCUSLINUX = Game(
    name="circuslinux",
    unit="life",
    env="Hakisa/ScreenGame-v0",
    options={"game": _circus_teacher.GAME, "timeout": 5.0, "max_episode_steps": _circus_teacher.LONGEST},
    teach=_circus_teacher.teach,
    delay=2,
    points=_circus_teacher.POINTS,
    loss=1.0,
    live=True,
    longest=_circus_teacher.LONGEST,
    rate=15.0,
    displays=8,
    steps=432_000,  # an hour
    lives=100,
    teacher_lives=60,
    ppo=_LIVE_PPO,
    dqn=_LIVE_DQN,
)

GAMES = {game.name: game for game in (LBREAKOUT2, PONG, CIRCUSLINUX)}
