"""Speed of a GA generation: 256 networks in one batched forward, against one network after the other.

Both play the same games, an episode or 500 steps of CartPole each, in a NumPy CartPole of the benchmark's own: in 256
or 64 columns, or in one. EvoTorch, where it is installed (``pip install evotorch``, into an environment of this
benchmark alone), plays an episode each of the same individuals in Gymnasium's CartPole-v1.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import _results
import gymnasium as gym
import numpy as np
import torch
from _cartpole import VectorCartPole
from torch import nn

from hakisa_algos.learners.generation import Generation, Player, game_seed, shares
from hakisa_algos.learners.lineage import Genome, Lineage, Mutation, birth
from hakisa_algos.policy.greedy import GreedyPolicy

INDIVIDUALS, HIDDEN, STEPS = 256, (32, 32), 500
COLUMNS = (INDIVIDUALS // 4, INDIVIDUALS)


def network() -> GreedyPolicy:
    """An MLP for CartPole."""
    env = VectorCartPole(1)
    return GreedyPolicy(env.single_observation_space, env.single_action_space, hidden_sizes=HIDDEN)


def batched(generation: Generation, columns: int) -> tuple[np.ndarray, int]:
    """Mean length of each individual's episodes, and env steps: a population seated at ``columns``.

    An episode that the steps cut short counts only where it is the individual's only one.
    """
    (share,) = shares(generation, 1)
    policy = network()
    played = Player(policy, Genome(policy, INDIVIDUALS), VectorCartPole(columns))(share)
    survived, ended = np.zeros(INDIVIDUALS), np.zeros(INDIVIDUALS)
    for episode in played.episodes:
        survived[episode.seat] += episode.length
        ended[episode.seat] += 1
    return survived / ended, played.rows * columns


@torch.inference_mode()
def one_by_one(generation: Generation) -> tuple[np.ndarray, int]:
    """The same, with the plainest loop that there is."""
    policy = network()
    genome = Genome(policy, INDIVIDUALS)
    envs = VectorCartPole(1)
    survived, played = np.zeros(INDIVIDUALS), 0
    for individual, lineage in enumerate(generation.lineages):
        nn.utils.vector_to_parameters(torch.tensor(genome.weights(lineage)), policy.parameters())
        episode, steps, fell, over = 0, 0, 0, True
        while True:
            if over:
                observation, _ = envs.reset(seed=[game_seed((*generation.key, 0, episode))])
            action = policy.act(torch.from_numpy(observation), {}, False, None).action.numpy()
            observation, _, terminated, truncated, _ = envs.step(action)
            steps += 1
            over = bool(terminated[0] or truncated[0])
            # A fall with the last step is cut off, too: the population cannot tell the two apart.
            if over and steps != generation.steps:
                episode, fell = episode + 1, steps
            if steps == generation.steps or (over and generation.steps is None):
                break
        survived[individual] = fell / episode if episode else steps
        played += steps
    return survived, played


def steady() -> tuple[Lineage, ...]:
    """Lineages of which many balance the pole: children of the best of the first generation."""
    first = Generation(tuple(birth(seed) for seed in range(INDIVIDUALS)), 1, None, 1.0, (0, 0, 0))
    survived, _ = batched(first, INDIVIDUALS)
    best = first.lineages[int(survived.argmax())]
    return tuple((*best, Mutation(seed, 0.05)) for seed in range(INDIVIDUALS))


def evotorch(problem: str, generation: Generation, rounds: int) -> dict[str, Any]:
    """What EvoTorch takes for an episode each of the same individuals, as its own problem class plays them."""
    if importlib.util.find_spec("evotorch") is None:
        return {"not measured": "evotorch is not installed"}
    from evotorch.neuroevolution import GymNE, VecGymNE

    genome = Genome(network(), INDIVIDUALS)
    weights = torch.tensor(np.stack([genome.weights(lineage) for lineage in generation.lineages]))
    layers = [("obs_length", HIDDEN[0]), HIDDEN, (HIDDEN[1], "act_length")]
    shape = " >> ReLU() >> ".join(f"Linear({inputs}, {outputs})" for inputs, outputs in layers)
    try:
        made = (
            GymNE(env="CartPole-v1", network=shape)
            if problem == "GymNE"
            else VecGymNE(env="gym::CartPole-v1", network=shape, max_num_envs=INDIVIDUALS)
        )
        made.evaluate(made.generate_batch(8))  # the first call makes the envs
        seconds, returns = [], []
        for _ in range(rounds):
            batch = made.generate_batch(INDIVIDUALS)
            batch.set_values(weights)
            began = time.perf_counter()
            made.evaluate(batch)
            seconds.append(time.perf_counter() - began)
            returns.append(float(batch.evals.mean()))
        took, mean = statistics.median(seconds), statistics.mean(returns)
        steps = INDIVIDUALS * mean / took  # a step is a point
        return {"seconds": took, "all_seconds": seconds, "mean_return": mean, "env_steps_per_second": steps}
    except Exception as error:  # of another library: what it says is the result
        return {"failed": f"{type(error).__name__}: {error}"}


def timed(play: Callable[[], tuple[np.ndarray, int]], rounds: int) -> tuple[dict[str, Any], np.ndarray]:
    """Median seconds of ``rounds``, and what was played."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        survived, steps = play()
        seconds.append(time.perf_counter() - began)
    took = statistics.median(seconds)
    return {"seconds": took, "all_seconds": seconds, "env_steps": steps, "env_steps_per_second": steps / took}, survived


def compare(generation: Generation, columns: int, rounds: int) -> dict[str, Any]:
    """Both ways through one generation."""
    together, survived = timed(lambda: batched(generation, columns), rounds)
    alone, expected = timed(lambda: one_by_one(generation), max(rounds // 2, 1))
    return {
        "columns": columns,
        "mean_steps_per_fall": float(expected.mean()),
        "equal_results": int((survived == expected).sum()),
        "batched": together,
        "one_by_one": alone,
        "times_as_fast": alone["seconds"] / together["seconds"],
    }


def main() -> None:
    """Writes ``results/ga_speed.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gym.logger.min_level = gym.logger.ERROR
    born, grown = tuple(birth(seed) for seed in range(INDIVIDUALS)), steady()
    generations = {
        "500 steps each": Generation(born, 1, STEPS, 1.0, (1, 0, 0)),
        "an episode each, trained": Generation(grown, 1, None, 1.0, (1, 0, 0)),
        "an episode each, untrained": Generation(born, 1, None, 1.0, (1, 0, 0)),
    }
    figures: dict[str, Any] = {"individuals": INDIVIDUALS, "hidden_sizes": HIDDEN, "threads": 1}
    for name, generation in generations.items():
        for columns in COLUMNS:
            figure = compare(generation, columns, arguments.rounds)
            figures[f"{name}, {columns} columns"] = figure
            print(name, columns, {k: v for k, v in figure.items() if k not in ("batched", "one_by_one")}, flush=True)
    for name, generation in generations.items():
        if generation.steps is not None:
            continue  # EvoTorch plays whole episodes
        ours = min(figures[f"{name}, {columns} columns"]["batched"]["seconds"] for columns in COLUMNS)
        for problem in ("GymNE", "VecGymNE"):
            figure = evotorch(problem, generation, arguments.rounds)
            if "seconds" in figure:
                figure["times_as_fast_is_ours"] = figure["seconds"] / ours
            figures[f"{name}, evotorch {problem}"] = figure
            print(name, problem, figure, flush=True)
    print(_results.save("ga_speed", figures))


if __name__ == "__main__":
    main()
