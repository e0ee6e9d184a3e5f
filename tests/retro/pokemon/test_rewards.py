"""What is new in an episode is paid, once; the baseline's kinds pay again, which is what they are here to show."""

import dataclasses
import functools
import json
import math
import operator

import numpy as np
import pytest

from hakisa_envs.errors import UnknownOptionError
from hakisa_envs.retro.pokemon.emerald import Monster, Place, Reading, Scene
from hakisa_envs.retro.pokemon.rewards import KINDS, NEW_ONLY, TABLES, Part, RewardEngine, RewardTable, table_of

BADGE, TOWN, TRAINER, EVENT, SIGN, HIDE, TEMPORARY, DAILY = 0x867, 0x86F, 0x500, 0x60, 0x3E8, 0x2E2, 0x10, 0x920


def reading(x=0, number=0, flags=(), level=5, health=20, seen=0, owned=0, money=0, **other):
    values = {
        "place": Place(0, number, x, 0), "money": money, "flags": sum(1 << flag for flag in flags), "seen": seen,
        "owned": owned, "party": (Monster(1, level**3, level, health, 20),), "scene": Scene.OVERWORLD, "locked": False,
    }  # fmt: skip
    return Reading(**{**values, **other})


def paid(table, *readings):
    """What each part pays in all over an episode of these."""
    engine = RewardEngine(TABLES[table] if isinstance(table, str) else table)
    engine.begin(readings[0])
    rows = [engine.pay(one) for one in readings[1:]]
    return {name: pytest.approx(sum(row[name] for row in rows)) for name in rows[0]}


def earned(table, *readings):
    return {name: amount.expected for name, amount in paid(table, *readings).items() if amount.expected}


START = reading()


@pytest.mark.parametrize(
    ("new", "pays"),
    [
        (reading(x=1), {"tile": 0.03}),
        (reading(number=1), {"tile": 0.03, "map": 1.0}),
        (reading(flags=[BADGE]), {"badge": 10.0}),
        (reading(flags=[TOWN, TRAINER]), {"town": 2.0, "trainer": 2.0}),
        (reading(flags=[EVENT]), {"event": 1.0}),
        (reading(flags=[SIGN]), {"item": 0.1}),
        (reading(flags=[HIDE, HIDE + 6, 0x371, TEMPORARY, DAILY]), {}),
        (reading(seen=0b110, owned=0b10), {"seen": 0.2, "caught": 0.5}),
        (reading(level=8), {"level": 0.6}),
        (reading(level=50), {"level": 3.0}),
        (reading(money=999, health=1), {}),
    ],
)
def test_ours_pays_what_is_new_and_once(new, pays):
    assert earned("ours", START, new) == pytest.approx(pays)
    assert earned("ours", START, *[new, START] * 20) == pytest.approx(pays)
    back = {part: amount for part, amount in pays.items() if part in ("tile", "map")}  # where it has not been yet
    assert earned("ours", new, *[START, new] * 20) == pytest.approx(back)


def test_what_was_there_when_the_episode_began_is_never_paid():
    start = reading(flags=[BADGE, EVENT], level=9, seen=7)
    assert earned("ours", start, reading(), start, start) == {}


def test_the_ferry_pays_the_baseline_for_ever_and_ours_nothing():
    here, there = reading(flags=[HIDE, HIDE + 1]), reading(flags=[0x371, HIDE + 2])
    assert earned("ours", here, *[there, here] * 50) == {}
    assert earned("dvruette", here, *[there, here] * 50) == {"flags": pytest.approx(100 * 4 * 0.075)}


@pytest.mark.parametrize(
    ("loop", "farmed"),
    [(reading(health=2), "heal"), (reading(flags=[EVENT]), "flags"), (reading(flags=[SIGN]), "flags")],
)
def test_other_loops_pay_the_baseline_for_ever_and_ours_once(loop, farmed):
    once, many = [earned("ours", START, *[loop, START] * times) for times in (1, 30)]
    assert once == many
    assert earned("dvruette", START, *[loop, START] * 30)[farmed] > 10 * 0.075


def test_a_deposit_and_a_withdrawal_pay_once():
    one = Monster(1, 125, 5, 20, 20)
    strong = Monster(2, 1000, 10, 30, 30)
    parties = [reading(party=(one,)), reading(party=(one, strong))]
    assert earned("ours", *parties * 20) == pytest.approx({"level": 1.0})


@pytest.mark.parametrize("name", TABLES)
def test_without_a_reading_nothing_is_paid_and_what_came_meanwhile_is_paid_after_it(name):
    none = dataclasses.replace(START, place=None, money=None, flags=None, seen=None, owned=None, party=None)
    new = reading(x=30, number=1, flags=[BADGE, TRAINER], level=7, seen=3)
    engine = RewardEngine(TABLES[name])
    engine.begin(START)
    assert set(engine.pay(none).values()) == {0.0}
    later = engine.pay(new)
    engine.begin(START)
    assert engine.pay(new) == later
    engine.begin(none)
    assert set(engine.pay(new).values()) == {0.0}  # where an episode begins without one, the first says where it is


@pytest.mark.parametrize("name", TABLES)
def test_an_engine_goes_on_from_its_state_which_is_plain_data(name):
    generator = np.random.default_rng(3)
    rows = [
        reading(x=int(x), number=int(x) % 3, flags=[int(f) for f in flags], level=int(x) + 1, seen=int(x))
        for x, flags in zip(generator.integers(20, size=60), generator.integers(0x50, 0x880, (60, 5)), strict=True)
    ]
    engine, other = RewardEngine(TABLES[name]), RewardEngine(TABLES[name])
    engine.begin(rows[0])
    for row in rows[1:30]:
        engine.pay(row)
    other.set_state(json.loads(json.dumps(engine.get_state())))
    assert [engine.pay(row) for row in rows[30:]] == [other.pay(row) for row in rows[30:]]


def new_things(rows):
    """How many things of each kind of `ours` appear over an episode, counted anew from all of it."""
    masks = {"event": (0x50, 0x2BB), "item": (0x3E8, 0x4FF), "trainer": (0x500, 0x85F), "badge": (0x867, 0x86E),
             "town": (0x86F, 0x87E), "champion": (0x87F, 0x87F)}  # fmt: skip
    flags = [{f for f in range(0x960) if row.flags >> f & 1} for row in rows]
    counts = {
        name: len({f for seen in flags for f in seen if low <= f <= high} - flags[0])
        for name, (low, high) in masks.items()
    }
    for name, of in (("seen", "seen"), ("caught", "owned")):
        bits = [getattr(row, of) for row in rows]
        counts[name] = (functools.reduce(operator.or_, bits) & ~bits[0]).bit_count()
    counts["tile"] = len({row.place for row in rows}) - 1
    counts["map"] = len({row.place[:2] for row in rows}) - 1
    counts["level"] = max(min(20, row.party[0].level) for row in rows) - min(20, rows[0].party[0].level)
    return counts


def test_over_ten_thousand_random_steps_no_kind_pays_twice():
    generator = np.random.default_rng(0)
    flags, seen, owned, rows = {0x60}, 0b101, 0b100, []
    for _ in range(10_000):
        flag = int(generator.integers(0x960))
        flags ^= {flag}
        x, level, kind, caught = (int(generator.integers(high)) for high in (30, 40, 386, 386))
        seen, owned = seen ^ 1 << kind, owned ^ 1 << caught
        rows.append(reading(x=x, number=x % 7, flags=flags, level=level + 1, seen=seen, owned=owned))
    weights = {part.name: part.weight for part in TABLES["ours"].parts}
    expected = {name: count * weights[name] for name, count in new_things(rows).items()}
    assert min(expected[name] for name in ("seen", "caught")) > 0
    found = earned("ours", *rows)
    assert found == pytest.approx({name: amount for name, amount in expected.items() if amount})


def test_ceilings_of_bits_and_places_are_kept():
    table = RewardTable((Part("event", "first", "events", 1.0, 3), Part("tile", "set", "tile", 1.0, 2)))
    rows = [reading(x=x, flags=range(0x50, 0x50 + x)) for x in range(10)]
    assert paid(table, *rows) == {"event": 3.0, "tile": 2.0}
    assert paid(table, reading(), reading(x=1, flags=range(0x50, 0x59))) == {"event": 3.0, "tile": 1.0}


def test_a_place_that_was_left_long_ago_pays_the_baseline_again():
    here, there = reading(), reading(x=50)
    assert "revisit" not in earned("dvruette", *[here, there] * 3000)
    assert earned("dvruette", here, *[there] * 8192, here, there)["revisit"] == pytest.approx(0.01)


def test_the_baseline_squashes_and_ours_does_not():
    assert TABLES["ours"].total({"a": 10.0, "b": -1.0}) == 9.0
    assert TABLES["dvruette"].total({"a": 0.5}) == pytest.approx(5 * math.tanh(0.5))
    assert TABLES["dvruette"].total({"a": -0.5}) == pytest.approx(-0.3 * math.tanh(0.5))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("level", "maximum", "best level", 1.0), "no ceiling"),
        (("level", "maximum", "levles", 1.0, 9), "'levles'.*'levels'"),
        (("level", "most", "levels", 1.0), "'most'.*'maximum'"),
        (("level", "set", "levels", 1.0), "'levels'.*'tile'"),
        (("level", "change", "levels", 1.0, 5), "leave it out"),
        (("level", "first", "seen", math.nan), "finite"),
        (("level", "first", "seen", 1.0, -1), ">= 0"),
        (("level", "first", "seen", 1.0, math.nan), ">= 0"),
        (("level", "first", "seen", 1.0, "3"), ">= 0"),
        (("level", "first", "seen", "1"), "finite"),
    ],
)
def test_wrong_tables_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        Part(*arguments)


@pytest.mark.parametrize(
    "table",
    [
        *TABLES.values(),
        RewardTable((Part("tile", "set", "tile", 1), Part("two", "first", "events", 2.0, 3)), squash=(1.0, 2.0)),
    ],
)
def test_a_table_is_the_same_after_json(table):
    plain = json.loads(json.dumps(table.as_option(), allow_nan=False))
    assert table_of(plain) == table == table_of(table)


def test_a_table_may_leave_out_what_has_a_default():
    part = {"name": "tile", "kind": "set", "of": "tile", "weight": 1.0}
    assert table_of({"parts": [part]}) == RewardTable((Part("tile", "set", "tile", 1.0),))
    assert table_of("ours") is TABLES["ours"]


PLAIN = {"name": "tile", "kind": "set", "of": "tile", "weight": 1.0}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("our", ValueError, "'ours'"),
        (None, ValueError, "'ours'"),
        ([], ValueError, "'ours'"),
        ({}, ValueError, "no 'parts'"),
        ({"part": []}, UnknownOptionError, "did you mean 'parts'"),
        ({"parts": {}}, ValueError, "list of parts"),
        ({"parts": ["tile"]}, ValueError, r"parts'\]\[0\]='tile'.*weight"),
        ({"parts": [PLAIN, {"name": "a"}]}, ValueError, r"parts'\]\[1\] has no 'kind'"),
        ({"parts": [{**PLAIN, "wieght": 1}]}, UnknownOptionError, "did you mean 'weight'"),
        ({"parts": [{**PLAIN, "kind": "sets"}]}, ValueError, "'set'"),
        ({"parts": [PLAIN], "squash": 5}, ValueError, "squash=5"),
        ({"parts": [PLAIN], "squash": [1.0]}, ValueError, "two finite numbers"),
        ({"parts": [PLAIN], "squash": [1.0, "2"]}, ValueError, "two finite numbers"),
    ],
)
def test_plain_data_that_are_no_table_are_refused(given, error, says):
    with pytest.raises(error, match=says):
        table_of(given)


def test_two_parts_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'a'"):
        RewardTable((Part("a", "first", "seen", 1.0), Part("a", "first", "owned", 1.0)))


def test_ours_has_only_kinds_that_pay_once():
    assert {part.kind for part in TABLES["ours"].parts} <= set(NEW_ONLY) < set(KINDS)
