"""``hakisa probe GAME``: how long everything takes in a live game, and what limits it. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hakisa_algos.cli.live import open_game, parse, parser, player, where
from hakisa_algos.cli.text import bold, dim
from hakisa_algos.errors import ConfigError
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.probe import LatencyProbe, percentiles

PRESSES = 50
PARTS = ("grab", "shrink", "readers", "input round trip")
LABELS = {name: name for name in (*PARTS, "overhead", "frame age", "step period error", "action to picture")}
LABELS["overhead"] = "env overhead per step"
TOLERABLE_MISSES = 0.01

Found = Mapping[str, Mapping[str, float]]


def run(arguments: Sequence[str]) -> int:
    """Plays some steps at the game's rate, measures its parts, and prints percentiles."""
    options = parser("probe", "Measure what a step of a live game costs, how it keeps time, and when an action shows.")
    options.add_argument("--steps", type=int, default=200, help="how many steps to measure (default 200)")
    chosen = parse(options, arguments)
    if chosen.steps < 2:
        raise ConfigError(f"--steps {chosen.steps} is not allowed: it must be at least 2")
    env = open_game(chosen)
    probe = LatencyProbe(env)
    try:
        choose = player(chosen.policy, env)
        probe.step(choose())
        print(bold(where(env)), flush=True)
        for _ in range(chosen.steps - 1):
            probe.step(choose())
        # Afterwards, so that they take no time from the steps.
        for _ in range(chosen.steps):
            probe.parts()
        why_not = _why_no_presses(env)
        if not why_not:
            for _ in range(min(PRESSES, chosen.steps)):
                probe.press()
        _show(env, probe, why_not)
    finally:
        probe.close()
        env.close()
    return 0


def limits(found: Found, steps: int, missed: int, rate: float) -> Iterator[str]:
    """What keeps the game from being played faster, in sentences; ``found`` are percentiles in ms, ``rate`` in Hz."""
    period, cost = 1e3 / rate, found["overhead"]["p99"]
    parts = {name: found[name]["p50"] for name in PARTS if name in found}
    largest = max(parts, key=lambda name: parts[name])
    most = f"Of its parts, each by itself, {LABELS[largest]} takes longest: {parts[largest]:.2f} ms (p50)."
    if missed > TOLERABLE_MISSES * steps or cost > period:
        yield (
            f"This machine: a step costs {cost:.1f} ms (p99) of the {period:.1f} ms that it has, and {missed} of "
            f"{steps} deadlines were missed. Lower the profile's rate, or give it an idle core. {most}"
        )
    else:
        yield (
            f"The rate: a step costs {cost:.1f} ms (p99) of the {period:.1f} ms that it has, so about "
            f"{1e3 / cost:.0f} steps/s would fit, if the agent took no time. {most}"
        )
    if "action to picture" in found:
        delay = found["action to picture"]["p99"]
        if delay > period:
            yield (
                f"The game: what is pressed shows only after {delay:.1f} ms (p99), later than the step's end. A lower "
                "rate, or more frames in the stack, lets the agent see what it did."
            )
        else:
            yield f"What is pressed shows after {delay:.1f} ms (p99), before the step's end."


def _why_no_presses(env: ScreenGameEnv) -> str:
    if env.profile.probe is None:
        return "the profile has no [probe]: a key, and the reading that it changes at once"
    assert env.session is not None
    return "a dry run presses nothing" if env.session.dry else ""


def _show(env: ScreenGameEnv, probe: LatencyProbe, why_not: str) -> None:
    found = {name: percentiles(values) for name, values in probe.times.items() if values}
    columns = ("p50", "p90", "p99", "max")
    print(f"  {'ms':<24}" + "".join(f"{column:>9}" for column in columns))
    for name, label in LABELS.items():
        if name in found:
            print(f"  {label:<24}" + "".join(f"{found[name][column]:9.2f}" for column in columns))
    if why_not:
        print(f"  {'action to picture':<24} {dim(f'not measured: {why_not}')}")
    elif probe.unseen:
        print(f"  {probe.unseen} presses did not show within a second")
    print(f"  missed deadlines: {probe.missed} of {probe.steps}")
    print(f"  capture: {probe.capture_status}")
    for sentence in limits(found, probe.steps, probe.missed, env.rate):
        print(sentence)
