"""An agent at play before somebody's eyes: what it sees, does, gets and thinks of it; and where it learns on from."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from hakisa_algos.agent import Agent
from hakisa_algos.errors import ConfigError
from hakisa_algos.learners.registry import find_algorithm
from hakisa_algos.learners.validation import changed
from hakisa_algos.policy.masks import MaskForm
from hakisa_algos.policy.observations import map_observation, to_tensors
from hakisa_algos.policy.policy import ActorCritic
from hakisa_algos.policy.q_network import QNetwork
from hakisa_algos.stages.demonstrations import check_game, demonstrations
from hakisa_algos.stages.ending import ended_by_a_person
from hakisa_algos.stages.recording import Recording
from hakisa_algos.training.demonstrations import SHARE, show
from hakisa_algos.training.stored_run import StoredRun, check_meaning, describe
from hakisa_envs.contract import ACTION_MASK, ACTION_MASKS, REAL_TIME

# Env steps for which the critic of a clone may learn alone, unless it foresees returns sooner.
WARM_UP = 20_000
_FRAMES = 600  # of one step at most that are shown


@dataclass(frozen=True)
class Moment:
    """What is known after a step.

    Attributes:
        step: of all.
        episode: its number.
        action: as the env takes it.
        reward: of the step.
        total: of the episode so far.
        value: that the agent gave to what it saw before the step; None if it judges nothing.
        observation: after it.
        frames: pictures of the step, oldest first; none where the env draws none.
        info: the env's.
    """

    step: int
    episode: int
    action: Any
    reward: float
    total: float
    value: float | None
    observation: Any
    frames: Sequence[Any]
    info: Mapping[str, Any]


# Shows a moment, for so long as it is to be seen (a game in real time takes its own); False ends the play.
See = Callable[[Moment, float], bool]


def play(
    agent: Agent,
    env: gym.Env[Any, Any],
    see: See,
    *,
    deterministic: bool = True,
    seed: int | None = None,
    seconds: float | None = None,
    episodes: int | None = None,
    rate: float | None = None,
) -> list[float]:
    """Plays until it is enough, ``see`` says so, or Ctrl+C; nothing is learnt.

    Args:
        agent: who plays.
        env: one env like the agent's own; closed by whoever made it.
        see: is shown each step.
        deterministic: the agent's best actions; False draws them as in training.
        seed: of the first episode.
        seconds: after which it ends.
        episodes: after which it ends.
        rate: steps per second; default: the env's own. A game in real time has but that.

    Returns:
        The returns of the episodes that ended.

    Raises:
        ConfigError: the env does not fit.
    """
    check_spaces(agent, env)
    until = None if seconds is None else time.monotonic() + seconds
    real_time = bool(env.metadata.get(REAL_TIME))
    period = 0.0 if real_time else 1 / (rate or env.metadata.get("render_fps") or 30.0)
    frames: deque[Any] = deque(maxlen=_FRAMES)
    show_frames = getattr(env.unwrapped, "show_frames", None)
    if show_frames is not None:
        show_frames(frames.append)
    returns: list[float] = []
    step, going = 0, True
    with ended_by_a_person():
        while going and len(returns) != episodes:
            seen, info = env.reset(seed=seed)
            seed, state, total, over = None, None, 0.0, False
            frames.clear()  # of the way to the start
            while going and not over:
                mask = allowed(agent, env, info)
                value = judged(agent, seen, state, mask)
                action, state = agent.predict(seen, state, deterministic=deterministic, action_mask=mask)
                seen, reward, terminated, truncated, info = env.step(action)
                step, total, over = step + 1, total + float(reward), bool(terminated or truncated)
                pictures = list(frames) or ([env.render()] if env.render_mode == "rgb_array" and not real_time else [])
                frames.clear()
                moment = Moment(step, len(returns) + 1, action, float(reward), total, value, seen, pictures, info)
                going = see(moment, period) and (until is None or time.monotonic() < until)
            if over:
                returns.append(total)
    return returns


def judged(agent: Agent, seen: Any, state: Any, mask: Any = None) -> float | None:
    """How much the agent expects of what it sees, where ``mask`` says what may be done; None if it judges nothing."""
    policy = agent.policy
    if not isinstance(policy, ActorCritic | QNetwork):
        return None
    rows = None if mask is None else MaskForm(agent.envs.single_action_space).given([mask], 1)
    seen = map_observation(lambda x: np.asarray(x)[None], seen)
    batch = to_tensors(policy.observation.encode(seen, rows), agent.device)
    if isinstance(policy, QNetwork):
        return float(policy.value(batch))
    with torch.inference_mode():
        return float(policy.value(batch, policy.initial_state(1) if state is None else state))


def allowed(agent: Agent, env: gym.Env[Any, Any], info: Mapping[str, Any]) -> Any:
    """What may be done next, as the env says it, where the agent obeys action masks; None: everything."""
    if not agent.policy.observation.mask_size:
        return None
    mask = info.get(ACTION_MASK)
    if mask is None and env.has_wrapper_attr(ACTION_MASKS):
        mask = env.get_wrapper_attr(ACTION_MASKS)()
    return mask


def check_spaces(agent: Agent, env: gym.Env[Any, Any]) -> None:
    """Refuses an env that the agent cannot play in.

    Raises:
        ConfigError: its spaces are others.
    """
    for kind in ("observation", "action"):
        theirs, own = getattr(env, f"{kind}_space"), getattr(agent.envs, f"single_{kind}_space")
        if describe(theirs) != describe(own):
            raise ConfigError(f"the env's {kind} space is {describe(theirs)}, and the agent's {describe(own)}")


def is_fresh(stored: StoredRun) -> bool:
    """Whether a run has not learned in its env yet: it is a clone, or was consolidated."""
    return stored.checkpoint is not None and not stored.checkpoint.state["step"]


def learn_config(stored: StoredRun, recordings: Sequence[Path]) -> Any:
    """The hyperparameters with which it learns on, unless told otherwise."""
    config = stored.config()
    if is_fresh(stored) and getattr(config, "own_critic", False) and not config.critic_warmup:
        config = changed(config, {"critic_warmup": WARM_UP})
    if recordings and hasattr(config, "demonstration_share") and not config.demonstration_share:
        config = changed(config, {"demonstration_share": SHARE})
    return config


def learner(
    stored: StoredRun,
    config: Any,
    env: str | None = None,
    env_options: Mapping[str, Any] | None = None,
    recordings: Sequence[Path] = (),
    **how: Any,
) -> tuple[Agent, bool]:
    """An agent that learns on from a run in its env.

    One of PPO that has only been shown begins anew from it, and is held to it. One of DQN goes on with demonstrations.

    Args:
        stored: the run.
        config: the hyperparameters to go on with.
        env: if it is another one, or must be named again.
        env_options: default: those of the run.
        recordings: of a person, for DQN.
        how: ``device`` and ``threads``.

    Returns:
        The agent; and whether its run is to be a new one.

    Raises:
        ConfigError: it does not fit; it names the recording.
    """
    found = find_algorithm(stored.before["algorithm"])
    options = dict(stored.asked["env_options"] if env_options is None else env_options)
    if is_fresh(stored) and hasattr(config, "critic_warmup") and not recordings:
        return Agent(
            env or stored.env(),
            config,
            algorithm=stored.before["algorithm"],
            seed=stored.before["seed"],
            env_options=options,
            vectorization=stored.asked["vectorization"],
            prior=stored,
            **how,
        ), True
    opened = [Recording.open(path) for path in recordings]
    if opened and not hasattr(found.config_class, "demonstration_share"):
        raise ConfigError(f"--demonstrations is for dqn, and {stored.path} is a run of {stored.before['algorithm']}")
    check_game(opened, env or stored.before["env"], options)
    agent = Agent.load(stored, env, config=config, env_options=options, **how)
    try:
        check_meaning(stored, agent.envs)
        show(agent.learner, demonstrations(opened) if opened else None, agent.envs)
    except BaseException:
        agent.close()
        raise
    return agent, is_fresh(stored)
