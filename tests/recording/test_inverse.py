"""From events to actions: tables of what a person does in steps of 100 ms, and of the actions that do the same."""

import dataclasses
import random

import numpy as np
import pytest

from hakisa_envs.recording.events import Event, steps
from hakisa_envs.recording.inverse import BUTTON, Inverse, Rules, infer

MS = 1_000_000
KEYS = ("Left", "Right", "space")
TAPS = Rules(("noop", "tap"), KEYS, period_ns=100 * MS)
HOLDS = Rules(("noop", "hold", "release"), KEYS, period_ns=100 * MS)
BOTH = Rules(("noop", "tap", "hold", "release", "release_all"), KEYS, period_ns=100 * MS)
LEVELS = Rules(("release_all", "hold_only"), KEYS, period_ns=100 * MS)
LEVELS_AND_TAPS = Rules(("noop", "hold_only", "release_all", "tap"), KEYS, period_ns=100 * MS)
MOUSE = Rules(
    ("noop", "move", "left_click", "right_click", "button_hold", "button_release", "wheel"),
    buttons=("left", "right"),
    grid=(10, 10),
    area=(0, 0, 100, 100),
    period_ns=100 * MS,
)
RELATIVE = Rules(("noop", "move_by"), steps=(-16, -4, 0, 4, 16), period_ns=100 * MS)


def event(at, kind, name="", place=None, by=(0.0, 0.0), script=False):
    return Event(at * MS, kind, name, place, by, script=script)


def hold(name, since, until):
    return [event(since, "press", name), event(until, "release", name)]


def words(actions, rules):
    """Actions as the tables below have them."""
    said = []
    for command, a, b in actions.tolist():
        name = rules.commands[command]
        if name in ("tap", "hold", "hold_only", "release"):
            said.append(f"{name} {rules.keys[a]}")
        elif name in ("move", "left_click", "right_click"):
            said.append(f"{name} {a},{b}")
        elif name in ("button_hold", "button_release", "button_tap"):
            said.append(f"{name} {rules.buttons[a]}")
        elif name == "move_by":
            said.append(f"move_by {rules.steps[a]},{rules.steps[b]}")
        else:
            said.append(f"wheel {'up' if a else 'down'}" if name == "wheel" else name)
    return said


TABLE = {
    "nothing": (TAPS, [], ["noop"] * 3, {}),
    "a tap belongs to the step of its press": (TAPS, hold("space", 90, 140), ["tap space", "noop", "noop"], {}),
    "its release is no action": (BOTH, hold("space", 90, 140), ["tap space", "noop", "noop"], {}),
    "what is longer is held": (
        BOTH,
        hold("Left", 50, 350),
        ["hold Left", "noop", "noop", "release Left", "noop"],
        {},
    ),
    "without tap a short press is held and let go": (
        HOLDS,
        hold("space", 10, 60),
        ["hold space", "release space", "noop"],
        {"tap as hold": 1},
    ),
    "without hold a long one is a tap": (TAPS, hold("Left", 10, 390), ["tap Left", "noop", "noop"], {"hold as tap": 1}),
    "two keys in a step are said one after the other": (
        TAPS,
        hold("Left", 10, 60) + hold("space", 70, 95),
        ["tap Left", "tap space", "noop"],
        {"late": 1},
    ),
    "too many are dropped": (
        TAPS,
        [e for i in range(5) for e in hold("space", 10 + 18 * i, 20 + 18 * i)],
        ["tap space"] * 3 + ["noop"],
        {"late": 2, "dropped tap": 2},
    ),
    "a repeat of the keyboard is no press": (
        TAPS,
        [event(10, "press", "space"), event(40, "press", "space"), event(60, "release", "space")],
        ["tap space", "noop"],
        {},
    ),
    "what the game's script presses is nobody's action": (
        TAPS,
        [event(10, "press", "space", script=True), event(60, "release", "space", script=True)],
        ["noop", "noop"],
        {},
    ),
    "a gap ends what is held": (
        HOLDS,
        [event(10, "press", "Left"), event(230, "gap", "focus"), event(250, "on")],
        ["hold Left", "noop", "release Left", "noop"],
        {},
    ),
    "a pause ends it too": (
        HOLDS,
        [event(10, "press", "Left"), event(230, "pause"), event(240, "resume")],
        ["hold Left", "noop", "release Left", "noop"],
        {},
    ),
    "a new episode begins with nothing held": (
        HOLDS,
        [event(10, "press", "Left"), event(230, "end"), event(240, "begin")],
        ["hold Left", "noop", "noop", "noop"],
        {},
    ),
    "levels, not edges": (
        LEVELS,
        hold("Left", 130, 380),
        ["release_all", "hold_only Left", "hold_only Left", "hold_only Left", "release_all"],
        {},
    ),
    "a level that was down for less than half of a step is over": (
        LEVELS,
        hold("Left", 130, 320),
        ["release_all", "hold_only Left", "hold_only Left", "release_all"],
        {},
    ),
    "a level that was up for most of a step, but of none in particular": (
        LEVELS,
        [*hold("Left", 100, 270), *hold("Left", 330, 500)],
        ["release_all", "hold_only Left", "release_all", "hold_only Left", "hold_only Left"],
        {},
    ),
    "a level that was up for less than half of a step": (
        LEVELS,
        [*hold("Left", 100, 280), *hold("Left", 320, 500)],
        ["release_all", "hold_only Left", "hold_only Left", "hold_only Left", "hold_only Left"],
        {},
    ),
    "a short press counts for its step": (LEVELS, hold("Left", 30, 60), ["hold_only Left", "release_all"], {}),
    "of two levels the one that went down": (
        LEVELS,
        [
            event(0, "press", "Left"),
            event(150, "press", "Right"),
            event(300, "release", "Left"),
            event(390, "release", "Right"),
        ],
        ["hold_only Left", "hold_only Right", "hold_only Right", "hold_only Right", "release_all"],
        {"two keys": 2},
    ),
    "levels and taps": (
        LEVELS_AND_TAPS,
        [*hold("Left", 0, 10_000), event(210, "press", "space"), event(240, "release", "space")],
        ["hold_only Left", "hold_only Left", "tap space", "hold_only Left"],
        {},
    ),
    "a click is at the place of its press": (
        MOUSE,
        [
            event(10, "motion", place=(55, 5)),
            event(20, "press", "button1", (55, 5)),
            event(60, "release", "button1"),
            event(80, "motion", place=(95, 95)),
        ],
        ["left_click 5,0", "move 9,9", "noop"],
        {},
    ),
    "a long press of a button": (
        MOUSE,
        [event(0, "motion", place=(5, 5)), event(150, "press", "button1", (5, 5)), event(420, "release", "button1")],
        ["move 0,0", "button_hold left", "noop", "noop", "button_release left"],
        {},
    ),
    "the pointer is said when nothing else is": (
        MOUSE,
        [event(10, "wheel", by=(0.0, -1.0), place=(15, 25)), event(150, "motion", place=(16, 26))],
        ["wheel down", "move 1,2", "noop"],
        {},
    ),
    "two notches": (MOUSE, [event(10, "wheel", by=(0.0, 2.0))], ["wheel up", "wheel up", "noop"], {"late": 1}),
    "a place outside is the nearest cell": (MOUSE, [event(10, "motion", place=(-7, 400))], ["move 0,9", "noop"], {}),
    "motion is rounded, and the rest carried over": (
        RELATIVE,
        [event(10, "motion", by=(21.0, -3.0)), event(110, "motion", by=(-1.0, -1.0))],
        ["move_by 16,-4", "move_by 4,0", "noop"],
        {},
    ),
    "a button without a command": (TAPS, hold("button2", 10, 30), ["noop", "noop"], {"no command": 1}),
}


@pytest.mark.parametrize("case", TABLE)
def test_table(case):
    rules, events, expected, counts = TABLE[case]
    events = sorted(events, key=lambda e: e.t_ns)
    actions, counted = infer(events, [i * 100 * MS for i in range(len(expected) + 1)], rules)
    assert words(actions, rules) == expected
    assert {kind: n for kind, n in counted.items() if n} == counts


def replayed(actions, rules):
    """Intervals in steps that actions leave each key down in, as the env would do them."""
    down, found = {}, []
    for i, (command, a, _) in enumerate(actions.tolist()):
        name = rules.commands[command]
        key = rules.keys[a] if name in ("tap", "hold", "hold_only", "release") else ""
        let_go = [key] if name == "release" else [k for k in down if k != key] if name == "hold_only" else []
        let_go = list(down) if name == "release_all" else let_go
        found += [(k, down.pop(k), i) for k in let_go if k in down]
        if name in ("hold", "hold_only"):
            down.setdefault(key, i)
        elif name == "tap":
            found.append((key, i, i + 1))
    return found


@pytest.mark.parametrize("rules", [BOTH, HOLDS, LEVELS])
def test_replaying_derived_actions_gives_the_same_intervals_within_a_step(rules):
    rules = dataclasses.replace(rules, period_ns=33 * MS)
    rng, now, events, intervals = random.Random(1), 0, [], []
    for _ in range(150):  # one key at a time, as in a game with a paddle
        now += rng.randrange(40, 700)
        key, length = rng.choice(KEYS[:2]), rng.randrange(30, 900)
        events += hold(key, now, now + length)
        intervals.append((key, now / 33, (now + length) / 33))
        now += length
    actions, _ = infer(events, [i * 33 * MS for i in range(now // 33 + 3)], rules)
    found = replayed(actions, rules)
    short = rules.short_ns / rules.period_ns if "tap" in rules.commands else 0  # a tap is as long as the profile says
    near = sum(
        any(k == key and abs(b - begin) <= 1.01 and (abs(e - end) <= 1.01 or end - begin <= short) for k, b, e in found)
        for key, begin, end in intervals
    )
    assert near >= 0.99 * len(intervals)


def test_of_what_one_command_can_say_the_effects_are_the_same():
    """Each action is done as a person would do it, and found again."""
    rules = BOTH
    rng = np.random.default_rng(0)
    events, expected, down = [], [], set()
    for i in range(200):
        command = rules.commands[rng.integers(4)]
        key = KEYS[rng.integers(3)]
        fits = {"hold": key not in down, "release": key in down, "tap": key not in down, "noop": True}[command]
        command = command if fits else "noop"
        at = i * 1000  # far apart, so that a hold is none that is let go of at once
        if command == "tap":
            events += hold(key, at + 10, at + 40)
        elif command == "hold":
            down.add(key)
            events.append(event(at + 10, "press", key))
        elif command == "release":
            down.discard(key)
            events.append(event(at + 10, "release", key))
        expected.append("noop" if command == "noop" else f"{command} {key}")
    actions, counts = infer(events, [i * 100 * MS for i in range(2001)], rules)
    assert words(actions[::10], rules) == expected
    assert not any(counts.values())


def test_steps_take_what_lies_in_them_and_their_first_moment():
    events = [event(t, "press", "space") for t in (-1, 0, 99, 100, 250, 300)]
    binned = list(steps(events, [0, 100 * MS, 200 * MS, 300 * MS]))
    assert [[e.t_ns // MS for e in step] for step in binned] == [[0, 99], [100], [250]]


def test_an_event_is_a_line_and_what_is_none_is_refused():
    for one in (event(3, "press", "Left", (4, 5)), event(3, "wheel", by=(0.0, 1.0), script=True)):
        assert Event.from_json(one.to_json()) == one
    for wrong in ({}, [], {"t": "x", "kind": "press"}, {"t": 1, "kind": "exec"}, {"t": 1, "kind": "press", "by": [1]}):
        with pytest.raises(ValueError, match="no event"):
            Event.from_json(wrong)


def test_where_nothing_can_be_idled_with_an_action_that_was_not_done_is_not_to_be_learned_from():
    clicks = Rules(("left_click", "right_click"), grid=(10, 10), area=(0, 0, 100, 100), period_ns=100 * MS)
    inverse, said = Inverse(clicks), []
    done = [event(110, "press", "button1", (55, 5)), event(150, "release", "button1")]
    for i in range(4):
        own = [e for e in done if i * 100 * MS <= e.t_ns < (i + 1) * 100 * MS]
        action = inverse.step(own, [], i * 100 * MS, (i + 1) * 100 * MS)
        said.append(inverse.said)
    assert said == [False, True, False, False]
    assert inverse.counts["nothing to idle with"] == 3
    assert action.tolist() == [0, 0, 0]


def test_it_goes_on_step_by_step():
    inverse, events = Inverse(BOTH), hold("Left", 50, 350)
    times = [i * 100 * MS for i in range(6)]
    whole, _ = infer(events, times, BOTH)
    for i in range(5):
        own = [e for e in events if times[i] <= e.t_ns < times[i + 1]]
        later = [e for e in events if e.t_ns >= times[i + 1]]
        assert (inverse.step(own, later, times[i], times[i + 1]) == whole[i]).all()
    assert BUTTON["left"] == "button1"
