"""One report over stages of an agent: the teacher, the clone, what was consolidated, what it learned at play."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hakisa_algos.agent import Agent
from hakisa_algos.comparison.grid import OUTCOME_HEADS, Cell, Figure, Grid, outcome_cells
from hakisa_algos.comparison.page import AXES, Film, Page, colours_of, write_page
from hakisa_algos.data.columns import FrameStack
from hakisa_algos.data.contract import stored_option
from hakisa_algos.data.files import write_json
from hakisa_algos.errors import ConfigError, MissingExtraError
from hakisa_algos.film import try_to_film
from hakisa_algos.policy.observations import ObservationLayout
from hakisa_algos.stages.demonstrations import check_game
from hakisa_algos.stages.recording import FACTS, VIDEO, Recording
from hakisa_algos.training import plots
from hakisa_algos.training.aggregate import Estimate, estimate, improvement, rates_by
from hakisa_algos.training.checkpoint import find_checkpoint
from hakisa_algos.training.evaluate import Evaluation
from hakisa_algos.training.metrics import read_metrics
from hakisa_algos.training.now import newest_frames
from hakisa_algos.training.run_folder import RunFolder, system_info
from hakisa_algos.training.video import VideoWriter

RESULT, FILM = "result.json", "film.mp4"
WAYS = ("deterministic", "stochastic")
_Z95 = 1.96  # standard errors


@dataclass(frozen=True)
class Asked:
    """How stages are measured; what was measured otherwise is measured again.

    Attributes:
        episodes: of each evaluation.
        seed: of them: the same for all stages.
        max_steps: after which an episode is cut; None: the env's own limit.
        film_steps: of the longest film; 0 films nothing.
        env: to play in; default: that of each run.
        env_options: likewise.
    """

    episodes: int = 20
    seed: int = 0
    max_steps: int | None = None
    film_steps: int = 500
    env: str | None = None
    env_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Options as files hold them."""
        object.__setattr__(self, "env_options", stored_option(self.env_options))


def report(
    paths: Sequence[Path], out: Path, asked: Asked, command: str, say: Callable[[str], None] = lambda text: None
) -> Path:
    """Measures what has not been measured yet, and writes report.html; what is done stays done if it is ended.

    Args:
        paths: runs and recordings, in the order of the stages.
        out: folder for everything that comes of it.
        asked: how.
        command: that makes the report again.
        say: tells how far it is.

    Raises:
        ConfigError: two are called alike, a recording has no episodes, or they are of different games.
    """
    names = [path.resolve().name for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two of them are called {name!r}: rename one, as the report tells them apart by that")
    stages: dict[str, dict[str, Any]] = {}
    for name, path in zip(names, paths, strict=True):
        say(name)
        measure = _of_recording if (path / FACTS).is_file() else _of_run
        stages[name] = measure(path, out / "stages" / name, asked)
    _check_same(stages, {name: path for name, path in zip(names, paths, strict=True) if (path / FACTS).is_file()})
    return write_page(out, _page(stages, out, asked, command))


def _of_run(path: Path, folder: Path, asked: Asked) -> dict[str, Any]:
    run = RunFolder.open(path)
    checkpoint = find_checkpoint(run.checkpoints)
    wanted = {"asked": asdict(asked), "checkpoint": checkpoint.name, "run_id": run.config.get("run_id")}
    done = _done(folder, wanted)
    if done is None:
        agent = Agent.load(path, asked.env, env_options=asked.env_options)
        with closing(agent):
            identity = agent.identity()
            final = {
                way: agent.evaluate(
                    asked.episodes, seed=asked.seed, deterministic=way == WAYS[0], max_steps=asked.max_steps
                ).plain()
                for way in WAYS
            }
            video: dict[str, Any] = {"missing": "not asked for"}
            if asked.film_steps:
                how = {"seed": asked.seed, "device": agent.device, "max_steps": asked.film_steps}
                options = identity["env_options"]
                video = try_to_film(agent.policy, identity["env"], options, folder / FILM, **how)
            done = wanted | {
                "env": identity["env"],
                "env_options": dict(identity["env_options"]),
                "what": f"{agent.name}, {_kind(path, agent.steps)}",
                "steps": agent.steps,
                "final": final,
                "video": video,
                "config": identity["config"],
            }
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RESULT, done)
    return done | {"curve": _curve(run)}


def _kind(path: Path, steps: int) -> str:
    if steps:
        return "at play"
    named = {"consolidation.json": "consolidated", "study.json": "a clone"}
    return next((word for file, word in named.items() if (path / file).is_file()), "untrained")


def _of_recording(path: Path, folder: Path, asked: Asked) -> dict[str, Any]:
    recording = Recording.open(path)
    returns, lengths = _episodes(recording)
    if not returns:
        raise ConfigError(f"{path} holds no episode that has ended; it cannot be measured")
    n = len(returns)
    nobody: list[str | None] = [None] * n
    played = Evaluation(
        np.array(returns), np.array(lengths), np.zeros(n, bool), max(lengths), list(range(n)), nobody, nobody, nobody
    )  # fmt: skip
    facts: Any = recording.facts
    who = "a person" if recording.by_person else f"{facts['agent']['algorithm']}, explored"
    minutes = len(recording.position) / float(facts["rate"]) / 60
    return {
        "env": facts["env"],
        "env_options": dict(facts.get("env_options", {})),
        "what": f"{who}, {minutes:.1f} minutes",
        "steps": 0,
        "final": {WAYS[1]: played.plain()},
        "video": _film_rows(recording, folder, asked.film_steps),
        "config": {name: facts[name] for name in ("name", "rate", "recorded") if name in facts},
        "curve": [],
    }


def _episodes(recording: Recording) -> tuple[list[float], list[int]]:
    """Returns and lengths of the episodes that ended by themselves, those left out as bad included."""
    reward, counts = recording.column("reward"), recording.column("transition")
    terminated, truncated = recording.column("terminated"), recording.column("truncated")
    found = [
        (float(reward[rows][counts[rows]].sum()), int(counts[rows].sum()))
        for rows in recording.episodes
        if (terminated | truncated)[rows].any()
    ]
    return [total for total, _ in found], [length for _, length in found]


def _film_rows(recording: Recording, folder: Path, steps: int) -> dict[str, Any]:
    """A film of the first episode, as the agent would see it; or the one that was filmed while it was recorded."""
    if not steps:
        return {"missing": "not asked for"}
    rows = recording.episodes[0]
    over = rows.stop - rows.start <= steps
    total = float(recording.column("reward")[rows][:steps].sum())
    said = {"file": FILM, "return": total, "steps": min(rows.stop - rows.start - 1, steps), "over": over}
    folder.mkdir(parents=True, exist_ok=True)
    space = recording.observation_space
    stack = FrameStack.of(recording.facts.get("frame_stack"), space, ObservationLayout(space).space)
    try:
        with VideoWriter(folder / FILM, float(recording.facts["rate"])) as video:
            for row in range(rows.start, min(rows.stop, rows.start + steps)):
                seen: Any = recording.rows.observation(np.array([row]))
                seen = {k: v.numpy() for k, v in seen.items()} if isinstance(seen, dict) else seen.numpy()
                frames = newest_frames(seen, stack)
                if frames is None:
                    whole = f"; {recording.path / VIDEO} shows the game" if (recording.path / VIDEO).is_file() else ""
                    return {"missing": f"what was seen is no picture{whole}"}
                video.add(np.asarray(frames[0]))
    except MissingExtraError as error:
        return {"missing": f"{error.name} is not installed ({error})"}
    return said


def _done(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured there of the same, in the same way."""
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and all(found.get(k) == v for k, v in json.loads(json.dumps(wanted)).items())
    return found if same else None


def _curve(run: RunFolder) -> list[dict[str, float]]:
    """What its evaluations in training said; without any, its episodes."""
    if not run.metrics.is_file():
        return []
    rows, episodes = read_metrics(run.metrics), run.config.get("options", {}).get("evaluate_episodes", 1)
    for mean, spread in (("eval/mean_reward", "eval/std_reward"), ("rollout/ep_rew_mean", "")):
        found = [row for row in rows if math.isfinite(row.get(mean, math.nan))]
        if found:
            return [
                {
                    "step": row["step"],
                    "seconds": row.get("time/elapsed", math.nan),
                    "mean": row[mean],
                    "half": _Z95 * row.get(spread, 0.0) / math.sqrt(max(episodes, 1)),
                }
                for row in found
            ]
    return []


def _check_same(stages: Mapping[str, Mapping[str, Any]], recordings: Mapping[str, Path]) -> None:
    run = next((stage for name, stage in stages.items() if name not in recordings), None)
    if run is not None:
        check_game([Recording.open(path) for path in recordings.values()], run["env"], run["env_options"])
    envs = {stage["env"].rpartition(":")[2] for stage in stages.values()}
    if len(envs) > 1:
        raise ConfigError(f"they are of different games ({', '.join(sorted(envs))}): give those of one")


def _page(stages: Mapping[str, Mapping[str, Any]], out: Path, asked: Asked, command: str) -> Page:
    env = next(iter(stages.values()))["env"].rpartition(":")[2]
    learned = [name for name, stage in stages.items() if stage["curve"]]
    levels = {}
    for name, stage in stages.items():
        if not stage["curve"]:
            levels[name] = float(np.mean(_best(stage)))
    folds = [(name, stage["what"], json.dumps(stage["config"], indent=1)) for name, stage in stages.items()]
    return Page(
        title=f"{', '.join(stages)} on {env}",
        lead=_lead(stages),
        facts=[f"{asked.episodes} episodes per evaluation, on the same fresh seeds", f"{len(stages)} stages"],
        colours=colours_of(list(stages)),
        legend=list(stages),
        charts={by: _charts(stages, learned, levels, by, unit, env) for by, unit, _ in AXES},
        grids=[_grid(stages), *_outcomes(stages)],
        reading=(
            "Mean return with its 95 % bootstrap interval over episodes; of a recording, of what was played. “Above "
            "the one before” is the probability that an episode of this stage brings more than one of the stage before "
            "it, drawn actions against drawn ones. Curves: evaluations while it learned, with 1.96 standard errors; "
            "else the mean of its last episodes."
        ),
        films=[
            Film(name, env, stage["what"], out / "stages" / name / FILM, stage["video"])
            for name, stage in stages.items()
        ],
        failures=[],
        folds=[*folds, ("Machine and versions", "of this report", json.dumps(system_info(), indent=1))],
        command=command,
    )


def _best(stage: Mapping[str, Any]) -> np.ndarray:
    final = stage["final"]
    return np.array(final.get(WAYS[0], final[WAYS[1]])["returns"], float)


def _drawn(stage: Mapping[str, Any]) -> np.ndarray:
    return np.array(stage["final"][WAYS[1]]["returns"], float)


def _mean(returns: np.ndarray) -> Estimate:
    return estimate(returns, middle=np.mean)


def _lead(stages: Mapping[str, Mapping[str, Any]]) -> str:
    said = [f"{name} {Figure(_mean(_best(stage)))}" for name, stage in stages.items()]
    return f"Mean return: {', '.join(said)}."


def _grid(stages: Mapping[str, Mapping[str, Any]]) -> Grid:
    heads = (
        "stage",
        "what",
        "env steps",
        "episodes",
        "best actions [95 %]",
        "drawn actions [95 %]",
        "above the one before",
    )
    rows: list[Sequence[Cell]] = []
    before: np.ndarray | None = None
    for name, stage in stages.items():
        drawn = _drawn(stage)
        best = Figure(_mean(_best(stage))) if WAYS[0] in stage["final"] else ""
        above = "" if before is None else Figure(improvement(drawn, before), 2)
        steps = f"{stage['steps']:,}" if stage["steps"] else ""
        rows.append((name, stage["what"], steps, str(len(drawn)), best, Figure(_mean(drawn)), above))
        before = drawn
    return Grid("Return", heads, rows, drawn=5)


def _outcomes(stages: Mapping[str, Mapping[str, Any]]) -> list[Grid]:
    """How games ended, where the env says it."""
    rows: list[Sequence[Cell]] = []
    for name, stage in stages.items():
        for way, final in stage["final"].items():
            found = rates_by(["all"] * len(final["outcomes"]), final["outcomes"], final["trajectories"])
            if "all" in found:
                rows.append((name, way, *outcome_cells(found["all"])))
    return [Grid("How games ended", ("stage", "actions", *OUTCOME_HEADS), rows)] if rows else []


def _charts(
    stages: Mapping[str, Mapping[str, Any]],
    learned: Sequence[str],
    levels: Mapping[str, float],
    by: str,
    unit: str,
    env: str,
) -> list[plots.Chart]:
    lines = {}
    for name in learned:
        curve = [point for point in stages[name]["curve"] if math.isfinite(point[by])]
        if curve:
            x, mean, half = (np.array([point[key] for point in curve], float) for key in (by, "mean", "half"))
            lines[name] = x, mean, mean - half, mean + half
    return [plots.Chart(lines, env, unit, "mean return", levels)] if lines else []
