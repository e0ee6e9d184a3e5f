"""How good a policy is: whole episodes in envs of their own, on seeds that training never sees."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv

from hakisa_algos.data.contract import EXCLUSIVE, REAL_TIME, declared
from hakisa_algos.data.episodes import Episode, EpisodeCounter
from hakisa_algos.data.stepper import Stepper
from hakisa_algos.data.vectorize import LONGEST_EPISODE, ResetMode, own_limit
from hakisa_algos.errors import ConfigError, Stopped
from hakisa_algos.learners.validation import check_seed
from hakisa_algos.policy.policy import Policy, acting
from hakisa_algos.policy.precision import torch_threads, weights_cast_once
from hakisa_algos.training.aggregate import Rates, rates_by
from hakisa_algos.training.stored_run import describe

# Run seeds are small numbers; evaluation seeds lie far from them.
_SEED_OFFSET = 1_000_000_007
# So many more episodes than are asked for may end without a result.
_MOST_LOST = 10
# Between two words on how far it is.
_TELL_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of an evaluation; one entry per episode, column by column.

    Attributes:
        returns: undiscounted raw return of each episode, those that were cut included.
        lengths: of each episode in steps.
        cut: bool: the limit of steps ended it, not the env.
        limit: that limit.
        trajectories: the number of the first episode in which the agent saw, did and got exactly the same.
        outcomes: ``"win"``, ``"loss"`` or ``"draw"``; None where the env does not say.
        opponents: against whom it was; None where the env does not say.
        starts: from which start it was; None where the env does not say.
    """

    returns: np.ndarray
    lengths: np.ndarray
    cut: np.ndarray
    limit: int
    trajectories: list[int]
    outcomes: list[str | None]
    opponents: list[str | None]
    starts: list[str | None]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns."""
        return float(self.returns.std())

    @property
    def rates(self) -> Rates | None:
        """How the games ended; None where the env says no outcome."""
        return rates_by(["all"] * len(self.outcomes), self.outcomes, self.trajectories).get("all")

    def rates_by(self, names: Sequence[str | None]) -> dict[str, Rates]:
        """The same for each name in ``names``, which is :attr:`opponents` or :attr:`starts`."""
        return rates_by(names, self.outcomes, self.trajectories)

    def __str__(self) -> str:
        cut = f", {self.cut.sum()} of them cut after {self.limit:,} steps" if self.cut.any() else ""
        rates = f"; {self.rates}" if self.rates else ""
        return f"{self.mean:.2f} +/- {self.std:.2f} over {len(self.returns)} episodes{cut}{rates}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Evaluation) and self.plain() == other.plain()

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def evaluate(
    policy: Policy,
    envs: VectorEnv[Any, Any, Any],
    *,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = True,
    device: torch.device | None = None,
    max_steps: int | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Plays exactly ``episodes`` episodes.

    How many each column plays is settled beforehand: taking whichever end first would favour short ones.

    Args:
        policy: who plays; it is not changed.
        envs: not those that are being trained in.
        episodes: how many; with more columns than that the others count nothing.
        seed: of the evaluation; its episodes are none that a run with any small seed was trained on.
        deterministic: the policy's best actions; False draws them as in training.
        device: where the policy lives.
        max_steps: of an episode, which is then cut and counts as it is; None: the env's own limit, else
            :data:`hakisa_algos.data.vectorize.LONGEST_EPISODE`.
        stop: asked at every step; True ends the evaluation.
        progress: told every few seconds how far it is, in words.

    Raises:
        Stopped: ``stop`` said so.
        ConfigError: nothing to play, or an env whose episodes all end in rows that do not count.
    """
    for name, value in (("episodes", episodes), ("max_steps", max_steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}={value!r} must be at least 1")
    device = device or torch.device("cpu")
    seed = _SEED_OFFSET + check_seed(seed)
    limit = max_steps or own_limit(envs) or LONGEST_EPISODE
    stepper = Stepper(envs, policy, seed, device=device, explore=not deterministic, episode_limit=limit)
    generator = torch.Generator(device).manual_seed(seed)
    tally, told = _Tally(episodes, envs.num_envs), time.monotonic()
    openings = steps = 0
    # Games in real time need the cores.
    threads = torch_threads(1) if declared(envs, REAL_TIME) else contextlib.nullcontext()
    with acting(policy), threads, weights_cast_once(device):
        # Once, or in rounds of an episode for each column where none can be begun anew without the others.
        while (due := tally.missing()).any():
            rows = _play(stepper, generator, openings)
            openings += 1
            while due.any():
                if stop is not None and stop():
                    raise Stopped(f"stopped after {tally}")
                over, ended = next(rows)
                steps += envs.num_envs
                if progress is not None and time.monotonic() - told >= _TELL_SECONDS:
                    told = time.monotonic()
                    progress(f"{tally} after {steps:,} steps")
                tally.add(over & due, ended)
                due &= tally.missing() if stepper.mode is ResetMode.MASKED else ~over
    return tally.result(limit)


class _Tally:
    """The episodes that were played, of as many as are wanted of each column."""

    def __init__(self, episodes: int, columns: int) -> None:
        self._episodes = episodes
        self._wanted = episodes // columns + (np.arange(columns) < episodes % columns)
        self._played: list[list[tuple[Episode, bytes]]] = [[] for _ in range(columns)]
        self._lost = 0

    def __str__(self) -> str:
        return f"{sum(map(len, self._played))} of {self._episodes} episodes"

    def missing(self) -> np.ndarray:
        return np.array([len(own) < most for own, most in zip(self._played, self._wanted, strict=True)])

    def add(self, over: np.ndarray, ended: Mapping[int, tuple[Episode, bytes]]) -> None:
        for column in np.flatnonzero(over).tolist():
            self._played[column] += [ended[column]] if column in ended else []
            self._lost += column not in ended
        if self._lost > self._episodes + _MOST_LOST:
            raise ConfigError(
                f"{self._lost} episodes ended in a row that the env calls no transition, and so have no result, "
                f"against {self} that have one; mend the env"
            )

    def result(self, limit: int) -> Evaluation:
        found = [episode for own in self._played for episode, _ in own]
        first: dict[bytes, int] = {}
        identities = [identity for own in self._played for _, identity in own]
        return Evaluation(
            returns=np.array([episode.total for episode in found]),
            lengths=np.array([episode.length for episode in found]),
            cut=np.array([episode.cut for episode in found]),
            limit=limit,
            trajectories=[first.setdefault(identity, number) for number, identity in enumerate(identities)],
            outcomes=[episode.outcome for episode in found],
            opponents=[episode.opponent for episode in found],
            starts=[episode.start for episode in found],
        )


def metrics_of(best: Evaluation, drawn: Evaluation) -> dict[str, float]:
    """What a run logs of its evaluations, with best actions and with drawn ones; rates where the env says outcomes."""
    metrics = {
        "eval/mean_reward": best.mean,
        "eval/std_reward": best.std,
        "eval/mean_ep_length": float(best.lengths.mean()),
        "eval/cut_episodes": float(best.cut.sum()),
        "eval/mean_reward_stochastic": drawn.mean,
    }
    if best.rates:
        win = best.rates.win
        metrics |= {"eval/win_rate": win.value, "eval/win_rate_low": win.low, "eval/win_rate_high": win.high}
        metrics |= {"eval/loss_rate": best.rates.loss.value, "eval/draw_rate": best.rates.draw.value}
        metrics |= {"eval/different_games": float(best.rates.games)}
    if drawn.rates:
        metrics["eval/win_rate_stochastic"] = drawn.rates.win.value
    return metrics


def is_evaluated_in(envs: VectorEnv[Any, Any, Any], env: Any, other: Any) -> bool:
    """Whether the envs that are trained in are evaluated too, since a second one would play the very same game.

    They were made from ``env``; ``other`` is what else was given to evaluate in, or None. A ConfigError where
    evaluation would disturb the training.
    """
    if other is None and declared(envs, EXCLUSIVE):
        return True
    if other is None and isinstance(env, gym.Env | VectorEnv):
        raise ConfigError(
            "evaluation must not disturb the env that is trained in: pass eval_env=, or make the agent from an env id "
            "or a callable"
        )
    if isinstance(other, gym.Env | VectorEnv):
        check_apart(other, envs)
        check_alike(other, envs)
    return False


def check_apart(evaluated: gym.Env[Any, Any] | VectorEnv[Any, Any, Any], trained: VectorEnv[Any, Any, Any]) -> None:
    """Refuses to evaluate in the env that is trained in, however it is wrapped: a ConfigError."""
    if _objects(evaluated) & _objects(trained):
        raise ConfigError(
            "eval_env is the env that is trained in (or the callable gave that), which evaluation would disturb: "
            "pass another, or a callable that makes a new one each time"
        )


def check_alike(evaluated: gym.Env[Any, Any] | VectorEnv[Any, Any, Any], trained: VectorEnv[Any, Any, Any]) -> None:
    """Refuses to evaluate in an env of other spaces: a ConfigError."""
    for kind in ("observation", "action"):
        spaces = [
            getattr(each, f"single_{kind}_space", getattr(each, f"{kind}_space")) for each in (evaluated, trained)
        ]
        theirs, ours = map(describe, spaces)
        if theirs != ours:
            raise ConfigError(
                f"eval_env has the {kind} space {theirs}, but the agent learns with {ours}: pass one alike"
            )


def _objects(env: Any) -> set[int]:
    inner = getattr(env.unwrapped, "envs", ())
    return {id(env.unwrapped), *(id(getattr(each, "unwrapped", each)) for each in inner)}


@contextlib.contextmanager
def evaluation_envs(
    trained: VectorEnv[Any, Any, Any],
    env: Any,
    other: Any,
    make: Callable[[Any, int | None], VectorEnv[Any, Any, Any]],
    num_envs: int,
    lend: Callable[[], contextlib.AbstractContextManager[VectorEnv[Any, Any, Any]]] | None,
) -> Iterator[VectorEnv[Any, Any, Any]]:
    """Envs to evaluate in, which are closed afterwards if they were made for it.

    Args:
        trained: that are trained in.
        env: what they were made from.
        other: what else was given to evaluate in, or None.
        make: from either of these a vector env of so many columns.
        num_envs: how many are wanted.
        lend: gives those that are trained in, where there can be no others; None: nobody plays in them.

    Raises:
        ConfigError: see :func:`is_evaluated_in`, :func:`check_apart` and :func:`check_alike`.
    """
    if is_evaluated_in(trained, env, other):
        with lend() if lend else contextlib.nullcontext(trained) as envs:
            yield envs
        return
    chosen = env if other is None else other
    if isinstance(chosen, gym.Env | VectorEnv):
        yield make(chosen, None)  # the user's own stays open
        return
    envs = make(chosen, max(num_envs, 1))
    check_apart(envs, trained)  # which must not be closed
    with contextlib.closing(envs):
        check_alike(envs, trained)
        yield envs


def _play(
    stepper: Stepper, generator: torch.Generator, number: int
) -> Iterator[tuple[np.ndarray, dict[int, tuple[Episode, bytes]]]]:
    """Resets all columns, the ``number``-th time, and plays on.

    Yields:
        Of each row where episodes ended, bool ``[n]``; and by column those that have a result, with a hash of all that
        the agent saw, did and got in them.
    """
    n = stepper.envs.num_envs
    counter, hashes = EpisodeCounter(n), [_hash() for _ in range(n)]
    opening = stepper.open(np.full(n, number))
    _add(hashes, opening.start, opening.standing.observation)
    for part in stepper.play(opening.standing, generator):
        values = part.values
        _add(hashes, values["transition"], values["action"], values["reward"])
        over = values["terminated"] | values["truncated"]
        ended = counter.count(values["reward"], part.counted, values.get("seat"), part.told)
        yield over, {episode.env: (episode, hashes[episode.env].digest()) for episode in ended}
        counter.begin(part.start)
        for column in np.flatnonzero(part.start).tolist():
            hashes[column] = _hash()
        # Before the next step, with which some envs write over it.
        _add(hashes, ~part.standing.done, part.standing.observation)


def _hash() -> Any:
    return hashlib.sha1(usedforsecurity=False)


def _add(hashes: list[Any], mask: np.ndarray, *arrays: Any) -> None:
    """Adds to the hash of each column in ``mask`` what it has in the arrays, which may be dicts of arrays."""
    flat = [entry for array in arrays for entry in (array.values() if isinstance(array, dict) else [array])]
    told = [np.ascontiguousarray(array).reshape(len(mask), -1).view(np.uint8) for array in flat]
    rows = np.concatenate(told, axis=1)
    for column in np.flatnonzero(mask).tolist():
        hashes[column].update(rows[column])
