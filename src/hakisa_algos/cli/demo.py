"""``hakisa demo``: PPO learns a game in about five minutes, and shows what it can do."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hakisa_algos.agent import PPO
from hakisa_algos.cli.demo_games import GAMES, DemoGame, GameName
from hakisa_algos.cli.options import parse
from hakisa_algos.cli.session import train
from hakisa_algos.cli.text import bold, command, dim, green, red
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, require
from hakisa_algos.film import film
from hakisa_algos.learners.ppo_config import FOR_PICTURES
from hakisa_algos.policy.precision import resolve_threads
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.plots import Chart, curves
from hakisa_algos.training.run_folder import RunFolder, free_path
from hakisa_algos.training.signals import Terminated, exit_status
from hakisa_algos.training.trainer import Trainer

# What is left of the minutes after training: an evaluation, a video, a picture.
_AFTERWARDS = 0.12
# Of the minutes, what one player may be measured for. Playing alone is about so many times as fast as learning too.
_EVALUATING, _PLAYING_SPEED = 0.1, 3
_FEWEST_GAMES = 8
_MEASURING_SECONDS = 4.0
# Short, so that measuring ends soon even where two threads wait for each other all the time.
_MEASURING_ROWS = 16
_MOST_FILMS = 5  # until one is of a game that was won


@dataclass(frozen=True)
class DemoArguments:
    """See :func:`run`."""

    env: GameName = "pong"
    """pong, which is learned in five minutes; or fighter, our fighting game on an emulated console, which takes longer:
    --minutes 30."""
    minutes: float = 5.0
    """How long it may take in all; less shows less."""
    seed: int = 1
    """Of everything random."""
    games: int | None = None
    """Games that the random player and the agent are measured over. None: 40 rounds of the Fighter, 16 games of Pong;
    on a slow or busy machine as many as fit into the time, 8 at least."""
    run: Path = Path("runs/demo")
    """Folder for everything that comes of it; numbered if there is one."""


def run(arguments: Sequence[str]) -> int:
    """Trains, evaluates against a random player, films; 1 if nothing was learned in steps enough."""
    chosen = parse(DemoArguments, arguments, "hakisa demo", "Watch PPO learn a game from its pictures.")
    for option, value in (("--minutes", chosen.minutes), ("--games", chosen.games)):
        if value is not None and not value > 0:
            raise ConfigError(f"{option} {value:g} is not allowed: it must be more than 0")
    game = GAMES[chosen.env]
    # Before anything is trained, since a missing package should not be found at the end.
    needs = {**game.needs, "cv2": "atari", "matplotlib": "report", "imageio_ffmpeg": "video"}
    for module, extra in needs.items():
        require(module, extra)
    seconds = 60 * chosen.minutes * (1 - _AFTERWARDS)
    began = time.perf_counter()
    title, rest = game.about
    print(f"{bold(title)}\n{dim(rest)}\n")
    threads, rate = measure(game, chosen.seed, min(_MEASURING_SECONDS, seconds / 10))
    demo = Demo(game, chosen.seed, chosen.games or _games_in(_EVALUATING * seconds, game, rate))
    chance = demo.random_score()
    print(f"A player that presses buttons at random: {bold(game.score(chance))}, over {demo.games} games.")

    left = max(seconds - (time.perf_counter() - began), 1.0)
    total_steps = max(int(left * rate), 1)
    print(f"This machine plays and learns {rate:,.0f} steps a second, so {total_steps:,} fit into the time.")
    if total_steps < game.wanted_steps:
        print(f"That is less than the {game.wanted_steps:,} that it wants: it may not get far.")
    print()
    agent = learner_of(game, chosen.seed, threads, total_steps=total_steps)
    options = RunOptions(threads=threads, checkpoint_every=max(total_steps // 4, 1))
    deadline = time.perf_counter() + left * 1.1
    folder = train(agent, free_path(chosen.run), options, [lambda trainer, metrics: time.perf_counter() < deadline])
    if agent.stopped_by not in (None, "callback"):
        print(f"\nStopped by {agent.stopped_by}, and saved. Continue: {command('resume', folder.path)}")
        return exit_status(agent.stopped_by)
    score = agent.evaluate(demo.games, deterministic=False)
    agent.close()
    return demo.show(agent, folder, chance, score, began)


@dataclass(frozen=True)
class Demo:
    """A game, and what is done with it.

    Attributes:
        game: which.
        seed: of everything random.
        games: that players are measured over.
    """

    game: DemoGame
    seed: int
    games: int

    def random_score(self) -> Evaluation:
        """What pressing buttons at random comes to."""
        envs = make_envs(self.game.env, min(self.games, FOR_PICTURES.num_envs), self.game.env_options)
        policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
        policy.seed(self.seed)
        try:
            return evaluate(policy, envs, episodes=self.games, seed=self.seed, deterministic=False)
        finally:
            envs.close()

    def show(self, agent: PPO, folder: RunFolder, chance: Evaluation, score: Evaluation, began: float) -> int:
        """Draw, film, and say what came of it: the exit status."""
        picture = self._draw(folder, chance)
        video, filmed = self._film(agent, folder)
        gain, good = self.game.gain(chance, score)
        if good:
            verdict = green(f"{gain}: it has learned.")
        elif agent.steps < self.game.wanted_steps:
            verdict = (
                f"{gain}: too few steps to tell, {agent.steps:,} of the {self.game.wanted_steps:,} that it wants on a "
                "faster or idler machine. Give it more time: --minutes 10"
            )
        else:
            verdict = red(f"{gain}: not what it should gain in {agent.steps:,} steps. Give it more time: --minutes 10")
        print(
            f"""
After {(time.perf_counter() - began) / 60:.1f} minutes, over {self.games} games each:
  random player   {self.game.score(chance)}
  trained agent   {bold(self.game.score(score))}   {verdict}

  learning curve  {picture}
  video           {video}{filmed}
  checkpoint      {folder.checkpoints}

To train this agent on:
  {command("resume", folder.path, "--total-steps", 4 * agent.steps)}
To train one from the start that plays well:
  {command("train", *self.game.in_full, "--seed", 1)}"""
        )
        return 0 if good or agent.steps < self.game.wanted_steps else 1

    def _draw(self, folder: RunFolder, chance: Evaluation) -> Path:
        path = folder.path / "learning_curve.png"
        metric, axis, level = self.game.curve
        rows = [row for row in read_metrics(folder.metrics) if metric in row]
        line = [[row[name] for row in rows] for name in ("step", metric)]
        levels = {f"random player {level(chance):.4g}": level(chance)}
        title = f"PPO on {self.game.env}"
        curves(path, Chart({"of the last games in training": line}, title, ylabel=axis, levels=levels))
        return path

    def _film(self, agent: PPO, folder: RunFolder) -> tuple[Path, str]:
        """The film of a game that was won, or of the last one, and what is to be said of that."""
        video = folder.path / "videos" / f"{self.game.env.partition('/')[2].partition('-')[0].lower()}.mp4"
        options = {**self.game.env_options, **self.game.film_options}
        for seed in range(_MOST_FILMS if self.game.film_options else 1):
            found = film(
                agent.policy, self.game.env, options, video,
                seed=seed, deterministic=False, device=agent.device, max_steps=self.game.film_steps,
            )  # fmt: skip
            if found.outcomes == ["win"]:
                return video, " (a match that it won)" if self.game.film_options else ""
        return video, f" (it won none of {_MOST_FILMS} matches: the last one)" if self.game.film_options else ""


def learner_of(game: DemoGame, seed: int, threads: int, **changes: int) -> PPO:
    """The agent that learns, with other hyperparameters where they are given."""
    config = dataclasses.replace(FOR_PICTURES, **{**game.config, **changes})
    return PPO(game.env, config, seed=seed, threads=threads, env_options=game.env_options)


def measure(game: DemoGame, seed: int, seconds: float) -> tuple[int, float]:
    """The best number of threads for torch, and env steps per second with it.

    More threads are not always faster: on cores that others use too, they wait for each other.
    """
    envs = make_envs(game.env, 1, game.env_options)
    envs.close()
    candidates = {1, resolve_threads(None, envs.single_observation_space)}
    found = {threads: _rate(game, seed, threads, seconds) for threads in sorted(candidates)}
    best = max(found, key=lambda threads: found[threads])
    return best, found[best]


def _rate(game: DemoGame, seed: int, threads: int, seconds: float) -> float:
    """Env steps per second, without the first rollout, which starts everything."""
    marks: list[tuple[float, int]] = []

    def watch(trainer: Trainer, metrics: dict[str, float]) -> bool:
        marks.append((time.perf_counter(), trainer.step))
        return len(marks) == 1 or marks[-1][0] - marks[0][0] < seconds

    agent = learner_of(game, seed, threads, total_steps=10**9, n_steps=_MEASURING_ROWS)
    agent.learn(callbacks=[watch], collapse="off")
    agent.close()
    if agent.stopped_by not in (None, "callback"):
        raise Terminated(agent.stopped_by)
    (began, first), (ended, last) = marks[0], marks[-1]
    return (last - first) / max(ended - began, 1e-9)


def _games_in(seconds: float, game: DemoGame, rate: float) -> int:
    """How many of the games that a player is to be measured over can be played in the time."""
    fit = int(seconds * rate * _PLAYING_SPEED / game.game_steps)
    return max(min(fit, game.games), _FEWEST_GAMES)
