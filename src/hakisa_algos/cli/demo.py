"""``hakisa demo``: PPO learns Pong in about five minutes, and shows what it can do."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hakisa_algos.agent import PPO
from hakisa_algos.cli.options import parse
from hakisa_algos.cli.session import train
from hakisa_algos.cli.text import bold, command, dim, green, red
from hakisa_algos.data.vectorize import make_envs
from hakisa_algos.errors import ConfigError, require
from hakisa_algos.film import film
from hakisa_algos.learners.ppo import FOR_PICTURES
from hakisa_algos.policy.precision import resolve_threads
from hakisa_algos.policy.random_policy import RandomPolicy
from hakisa_algos.training.evaluate import Evaluation, evaluate
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.options import RunOptions
from hakisa_algos.training.plots import Chart, curves
from hakisa_algos.training.run_folder import RunFolder, free_path
from hakisa_algos.training.signals import Terminated, exit_status
from hakisa_algos.training.trainer import Trainer

ENV = "Hakisa/Pong-v0"
ENV_OPTIONS: dict[str, Any] = {}
MARGIN = 3.0
# What is left of the minutes after training: two evaluations, a video, a picture.
_AFTERWARDS = 0.12
_MEASURING_SECONDS = 4.0
# Short, so that measuring ends soon even where two threads wait for each other all the time.
_MEASURING_ROWS = 16
_LONGEST_FILM = 1_000


@dataclass(frozen=True)
class DemoArguments:
    """See :func:`run`."""

    minutes: float = 5.0
    """How long it may take in all; less shows less."""
    seed: int = 1
    """Of everything random."""
    games: int = 16
    """Games that the random player and the agent are measured over."""
    run: Path = Path("runs/demo")
    """Folder for everything that comes of it; numbered if there is one."""


def run(arguments: Sequence[str]) -> int:
    """Trains, evaluates against a random player, films; 1 if the margin was missed."""
    chosen = parse(DemoArguments, arguments, "hakisa demo", "Watch PPO learn Atari Pong from pixels.")
    if not chosen.minutes > 0 or chosen.games < 1:
        raise ConfigError(f"--minutes {chosen.minutes:g} --games {chosen.games}: both must be more than 0")
    # Before anything is trained, since a missing package should not be found at the end.
    for module, extra in (("ale_py", "atari"), ("cv2", "atari"), ("matplotlib", "report"), ("imageio_ffmpeg", "video")):
        require(module, extra)
    seconds = 60 * chosen.minutes * (1 - _AFTERWARDS)
    began = time.perf_counter()
    print(f"{bold('Pong')}: an agent that sees nothing but the screen learns to play against the console's own player.")
    print(dim("21 points win a game; the score is the agent's points less its opponent's, from -21 to 21.\n"))
    chance = _random_score(chosen.games, chosen.seed)
    print(f"A player that presses buttons at random scores {bold(f'{chance.mean:.1f}')}.")

    threads, rate = _measure(min(_MEASURING_SECONDS, seconds / 10))
    left = max(seconds - (time.perf_counter() - began), 1.0)
    total_steps = max(int(left * rate), 1)
    print(f"This machine plays and learns {rate:,.0f} steps a second, so {total_steps:,} fit into the time.\n")
    agent = _agent(total_steps, chosen.seed, threads)
    options = RunOptions(threads=threads, checkpoint_every=max(total_steps // 4, 1))
    deadline = time.perf_counter() + left * 1.1
    folder = train(agent, free_path(chosen.run), options, [lambda trainer, metrics: time.perf_counter() < deadline])
    if agent.stopped_by not in (None, "callback"):
        print(f"\nStopped by {agent.stopped_by}, and saved. Continue: {command('resume', folder.path)}")
        return exit_status(agent.stopped_by)
    score = agent.evaluate(chosen.games, deterministic=False)
    agent.close()
    return _show(agent, folder, chance, score, time.perf_counter() - began)


def _show(agent: PPO, folder: RunFolder, chance: Evaluation, score: Evaluation, seconds: float) -> int:
    picture = folder.path / "learning_curve.png"
    rows = read_metrics(folder.metrics)
    line = [[row[name] for row in rows] for name in ("step", "rollout/ep_rew_mean")]
    levels = {f"random player {chance.mean:.4g}": chance.mean}
    curves(picture, Chart({"mean of the last games in training": line}, "PPO on Pong", levels=levels))
    video = folder.path / "videos" / "pong.mp4"
    film(agent.policy, ENV, ENV_OPTIONS, video, deterministic=False, device=agent.device, max_steps=_LONGEST_FILM)
    gain = score.mean - chance.mean
    good = gain >= MARGIN
    verdict = (
        green(f"{gain:+.1f} points: it has learned.")
        if good
        else red(f"{gain:+.1f} points: not the {MARGIN:g} that it should gain. Give it more time: --minutes 10")
    )
    longer = 4 * agent.steps
    print(
        f"""
After {seconds / 60:.1f} minutes, over {len(score.returns)} games each:
  random player   {chance.mean:6.1f}
  trained agent   {bold(f"{score.mean:6.1f}")}   {verdict}

  learning curve  {picture}
  video           {video}
  checkpoint      {folder.checkpoints}

To train this agent on:
  {command("resume", folder.path, "--total-steps", longer)}
To train one that wins with 20 points:
  {command("train", "ppo", "--env", ENV, "--seed", 1)}"""
    )
    return 0 if good else 1


def _agent(total_steps: int, seed: int, threads: int, n_steps: int = FOR_PICTURES.n_steps) -> PPO:
    config = dataclasses.replace(FOR_PICTURES, total_steps=total_steps, n_steps=n_steps)
    return PPO(ENV, config, seed=seed, threads=threads, env_options=ENV_OPTIONS)


def _random_score(games: int, seed: int) -> Evaluation:
    envs = make_envs(ENV, games, ENV_OPTIONS)
    policy = RandomPolicy(envs.single_observation_space, envs.single_action_space)
    policy.seed(seed)
    try:
        return evaluate(policy, envs, episodes=games, seed=seed, deterministic=False)
    finally:
        envs.close()


def _measure(seconds: float) -> tuple[int, float]:
    """The best number of threads for torch, and env steps per second with it.

    More threads are not always faster: on cores that others use too, they wait for each other.
    """
    envs = make_envs(ENV, 1, ENV_OPTIONS)
    envs.close()
    candidates = {1, resolve_threads(None, envs.single_observation_space)}
    found = {threads: _rate(threads, seconds) for threads in sorted(candidates)}
    best = max(found, key=lambda threads: found[threads])
    return best, found[best]


def _rate(threads: int, seconds: float) -> float:
    """Env steps per second, without the first rollout, which starts everything."""
    marks: list[tuple[float, int]] = []

    def watch(trainer: Trainer, metrics: dict[str, float]) -> bool:
        marks.append((time.perf_counter(), trainer.step))
        return len(marks) == 1 or marks[-1][0] - marks[0][0] < seconds

    agent = _agent(10**9, 0, threads, n_steps=_MEASURING_ROWS)
    agent.learn(callbacks=[watch], collapse="off")
    agent.close()
    if agent.stopped_by not in (None, "callback"):
        raise Terminated(agent.stopped_by)
    (began, first), (ended, last) = marks[0], marks[-1]
    return (last - first) / max(ended - began, 1e-9)
