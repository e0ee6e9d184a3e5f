"""What ``hakisa demo`` can show, and how each is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hakisa_algos.learners import ppo_config
from hakisa_algos.training.evaluate import Evaluation

GameName = Literal["fighter", "pong"]


@dataclass(frozen=True)
class DemoGame:
    """A game to be learned in a few minutes.

    Attributes:
        env: its id.
        about: what one sees, in two lines.
        needs: modules with the extras that bring them, found missing before anything is trained.
        games: played by the random player and by the agent, where there is time.
        game_steps: env steps of one, about.
        wanted_steps: env steps by which it has been seen to learn.
        score: of an evaluation, in words.
        gain: of the agent's evaluation over the random player's, in words, and whether that is visibly better.
        curve: the metric to draw, what its axis is called, and its value of the random player.
        film_options: of the env, where a film is of something longer.
        film_steps: of the longest film.
        env_options: of the env.
        config: hyperparameters that are not those for pictures.
        in_full: what `hakisa train` is asked for, to train an agent that plays well.
    """

    env: str
    about: tuple[str, str]
    needs: Mapping[str, str]
    games: int
    game_steps: int
    wanted_steps: int
    score: Callable[[Evaluation], str]
    gain: Callable[[Evaluation, Evaluation], tuple[str, bool]]
    curve: tuple[str, str, Callable[[Evaluation], float]]
    film_steps: int
    in_full: tuple[str, ...]
    film_options: Mapping[str, Any] = field(default_factory=dict)
    env_options: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def _points_gained(chance: Evaluation, agent: Evaluation) -> tuple[str, bool]:
    gain = agent.mean - chance.mean
    return f"{gain:+.1f} points", gain >= 3.0


def _won(found: Evaluation) -> str:
    assert found.rates is not None
    win = found.rates.win
    return f"wins {win.value:.0%} [{win.low:.0%}, {win.high:.0%}]"


def _win_rate(found: Evaluation) -> float:
    return 0.0 if found.rates is None else found.rates.win.value


def _rounds_gained(chance: Evaluation, agent: Evaluation) -> tuple[str, bool]:
    assert chance.rates is not None
    assert agent.rates is not None
    more = 100 * (agent.rates.win.value - chance.rates.win.value)
    return f"{more:+.0f} of 100 rounds", agent.rates.win.low > chance.rates.win.high


FIGHTER = DemoGame(
    env="Hakisa/Fighter-v0",
    about=(
        "The Fighter: an agent that sees nothing but the screen learns to fight against the computer's easy rusher.",
        "A knock-out, or more health when time is over, wins a round. Intervals are of 95 % (Wilson).",
    ),
    needs={"stable_retro": "retro"},
    games=40,
    game_steps=330,
    wanted_steps=250_000,
    score=_won,
    gain=_rounds_gained,
    curve=("rollout/win_rate", "rounds won, of the last 100", _win_rate),
    film_options={"episode": "match"},
    film_steps=1_400,
    in_full=("ppo", "--preset", "fighter"),
    # An attack takes 20 to 40 frames: with decisions of 12 most of them do something, and a round is 330 at most.
    env_options={"states": ("rusher.easy.left", "rusher.easy.right"), "frame_skip": 12, "frame_size": 64},
    config={name: getattr(ppo_config.FIGHTER, name) for name in ("network", "gamma", "epochs", "minibatch_size")},
)
PONG = DemoGame(
    env="Hakisa/Pong-v0",
    about=(
        "Pong: an agent that sees nothing but the screen learns to play against the console's own player.",
        "21 points win a game; the score is the agent's points less its opponent's, from -21 to 21.",
    ),
    needs={"ale_py": "atari"},
    games=16,
    game_steps=1_000,
    wanted_steps=250_000,
    score=lambda found: f"{found.mean:6.1f}",
    gain=_points_gained,
    curve=("rollout/ep_rew_mean", "return", lambda found: found.mean),
    film_steps=1_000,
    in_full=("ppo", "--env", "Hakisa/Pong-v0"),
)
GAMES: Mapping[GameName, DemoGame] = {"fighter": FIGHTER, "pong": PONG}
