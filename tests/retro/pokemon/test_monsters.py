"""Monsters plays as it should, and its memory has Emerald's meaning and quirks."""

import contextlib
import hashlib
import subprocess
import sys

import numpy as np
import pytest

helpers = pytest.importorskip("tests.retro.pokemon.helpers")
from hakisa_envs.retro.game_files import Variable  # noqa: E402
from hakisa_envs.retro.pokemon.actions import PAD, pads  # noqa: E402
from hakisa_envs.retro.pokemon.emerald import Scene, read  # noqa: E402
from hakisa_envs.retro.pokemon.game import WATCHED, in_control, never  # noqa: E402
from hakisa_envs.retro.pokemon.rewards import TABLES, Part, RewardEngine, RewardTable  # noqa: E402
from tests.retro.pokemon.helpers import Walker, journey  # noqa: E402

MILESTONES = (
    "start", "starter", "route.1", "oak", "gym.1", "badge.1", "tree", "port", "gym.2", "badge.2", "island", "badge.3",
)  # fmt: skip
SAVE_1, SAVE_2, STORAGE = (Variable(address, "<u4") for address in (0x03005D8C, 0x03005D90, 0x03005D94))
BASES = (0x02025A00, 0x02024A54, 0x02029808)
SCRIPTS = ((1 << 0x500) - 1) & ~((1 << 0x50) - 1)


def at(emulator, state):
    """A walker where a state is."""
    emulator.load(state)
    emulator.advance()
    return Walker(emulator)


def test_the_journey_is_as_short_as_it_should_be_and_its_states_are_its_milestones(walker):
    seen = {}
    for milestone in journey(walker):
        seen[milestone] = (walker.tiles, walker.decisions, walker.where(), walker.reading())
    assert sorted(path.stem for path in walker.emulator.files.states.glob("*.state")) == sorted(MILESTONES)
    assert ["start", *seen] == list(MILESTONES)
    assert [seen[name][3].badges for name in ("gym.1", "badge.1", "badge.2", "badge.3")] == [0, 1, 2, 3]
    assert seen["badge.2"][0] <= 130
    assert seen["badge.2"][1] <= 600
    for name in MILESTONES[1:]:
        again = at(walker.emulator, name)
        assert again.where() == seen[name][2]
        assert (again.reading().flags, again.reading().party) == (seen[name][3].flags, seen[name][3].party), name


def frames_until_still(walker, direction):
    """How long one press of a direction keeps the player busy."""
    held = np.zeros((60, len(PAD)), np.uint8)
    held[0, PAD.index(direction)] = 1
    return len(walker.emulator.play(held, WATCHED, in_control))


def test_a_tile_takes_8_frames_and_a_bump_4(walker):
    assert frames_until_still(walker, "RIGHT") == 1 + 8
    assert walker.where() == ("FERN", 8, 9)
    walker.go(1, 10)
    assert frames_until_still(walker, "LEFT") == 4
    assert walker.where() == ("FERN", 1, 10)
    held = np.zeros((48, len(PAD)), np.uint8)
    held[:, PAD.index("UP")] = 1
    walker.emulator.play(held, (), never)
    assert walker.where() == ("FERN", 1, 4)  # the sixth tile begins in the 41st frame


def test_a_warp_moves_all_blocks_and_changes_the_key_and_keeps_what_is_saved(emulator):
    walker = at(emulator, "starter")
    walker.go(8, 1)
    before, seen = walker.reading(), []
    pointers = [emulator.read(one) for one in (SAVE_1, SAVE_2, STORAGE)]
    key = emulator.read(Variable(pointers[1] + 0xAC, "<u4"))
    held = np.zeros((40, len(PAD)), np.uint8)
    held[:4, PAD.index("UP")] = 1
    for pad in held:
        emulator.play(pad[None], (), never)
        seen.append((emulator.inspect(read), [emulator.read(one) for one in (SAVE_1, SAVE_2, STORAGE)]))
    moved = [index for index, (_, now) in enumerate(seen) if now != pointers]
    assert moved
    assert emulator.read(Variable(seen[-1][1][1] + 0xAC, "<u4")) != key
    for reading, now in seen:  # in every frame, that of the move among them
        assert (reading.money, reading.party, reading.owned) == (before.money, before.party, before.owned)
        assert all(0 <= there - base <= 124 for there, base in zip(now, BASES, strict=True))
        assert (now != pointers) == (reading.place.number == 1)
    assert {reading.scene for reading, _ in seen} == {Scene.OVERWORLD, Scene.OTHER}
    assert walker.where()[0] == "ROUTE_1"


def test_blocks_move_by_many_distances_and_end_up_everywhere(emulator):
    walker, places = at(emulator, "route.1"), set()
    for _ in range(12):
        walker.press("DOWN")
        walker.press("UP")
        places.add(emulator.read(SAVE_1))
    assert len(places) > 8


def test_a_party_is_in_mid_write_for_a_frame_and_nothing_is_paid_for_it(walker):
    emulator, readings = walker.emulator, []
    walker.go(8, 8)
    walker.press("UP")
    for frame in range(60):
        emulator.play(pads(0, 1 if frame % 4 == 0 else 0, 1), (), never)
        readings.append(emulator.inspect(read))
    parties = [reading.party for reading in readings]
    torn = parties.index(None)
    assert parties[torn - 1] == ()
    assert parties[torn + 1][0].level == 5
    engine = RewardEngine(TABLES["ours"])
    engine.begin(readings[0])
    paid = [engine.pay(reading) for reading in readings]
    assert paid[torn]["level"] == 0.0
    assert paid[torn + 1]["level"] == 1.0


# Each says when there is something to be paid for.


def ferry(walker):
    walker.go(11, 8)
    walker.use("DOWN")
    assert walker.where()[0] == "PORT"
    yield
    walker.go(10, 9)
    walker.use("DOWN")
    assert walker.where()[0] == "ISLAND"
    yield


def test_the_ferry_sets_and_clears_flags_each_way(emulator):
    walker = at(emulator, "island")
    there = walker.reading().flags
    walker.go(11, 8)
    walker.use("DOWN")
    back = walker.reading().flags
    flips = (there ^ back) & SCRIPTS
    assert flips.bit_count() == 8
    assert flips & back
    assert flips & there


def heal(walker):
    walker.go(6, 3)
    walker.use("UP")
    walker.go(7, 3)
    yield


def gamble(walker):
    walker.go(8, 2)
    walker.use("UP")
    yield


def shelve(walker):
    """Into the box and out again."""
    for option, left in enumerate((1, 2)):
        walker.go(10, 2)
        walker.press("UP")
        walker.press(button="A")
        for _ in range(option):
            walker.press("DOWN")
        walker.settle()
        assert len(walker.reading().party) == left
        yield


def cut(walker):
    walker.use("RIGHT")
    yield
    walker.go(0, 6)
    walker.go(19, 7)
    walker.go(7, 6)
    yield


def catch(walker):
    """A second one, in the tall grass of the route."""
    walker.go(9, 13)
    walker.go(8, 2)
    for _ in range(400):
        reading = walker.reading()
        if reading.scene is Scene.BATTLE:
            for direction, button in (("", "B"), ("DOWN", ""), ("", "A")):  # B leads back to the first menu
                walker.press(direction, button)
        elif reading.locked:
            walker.press(button="A")
        elif len(reading.party or ()) == 2:
            break
        else:
            walker.press("RIGHT" if walker.where()[1] == 8 else "LEFT")
    assert len(walker.reading().party) == 2
    walker.go(7, 0)


def into(door, before=None):
    def enter(walker):
        if before:
            before(walker)
        walker.go(*door)

    return enter


@pytest.mark.parametrize(
    ("state", "way", "once", "farm"),
    [
        ("island", None, ferry, ("flips", "scripts")),
        ("port", into((3, 3)), heal, None),  # nobody is hurt
        ("oak", into((10, 4)), gamble, ("change", "money")),
        ("oak", into((3, 4), before=catch), shelve, ("rise", "levels")),
        ("tree", None, cut, ("flips", "temporary")),
    ],
)
def test_a_loop_pays_ours_once_and_a_table_that_can_be_farmed_again_and_again(emulator, state, way, once, farm):
    walker, engine = at(emulator, state), RewardEngine(TABLES["ours"])
    farmed = RewardEngine(RewardTable((Part("again", *farm, 1.0),) if farm else ()))
    if way:
        way(walker)
    for each in (engine, farmed):
        each.begin(walker.reading())
    totals, again = [], []
    for _ in range(4):
        paid = [(engine.pay(walker.reading()), farmed.pay(walker.reading())) for _ in once(walker)]
        totals.append(sum(value for ours, _ in paid for name, value in ours.items() if name != "item"))
        again.append([row.get("again") for _, row in paid])
    assert totals[2:] == [0.0, 0.0]
    if farm:
        assert all(any(row) for row in again), again


def test_the_ferry_pays_the_baseline_for_ever(emulator):
    walker = at(emulator, "island")
    engine, paid = RewardEngine(TABLES["dvruette"]), []
    engine.begin(walker.reading())
    for _ in range(3):
        walker.go(11, 8)
        walker.use("DOWN")
        paid.append(engine.pay(walker.reading())["flags"])
        walker.go(10, 9)
        walker.use("DOWN")
        paid.append(engine.pay(walker.reading())["flags"])
    assert paid == pytest.approx([8 * 0.075] * 6)


def test_badges_need_what_the_one_before_them_gives(emulator):
    walker = at(emulator, "oak")
    walker.go(19, 7)
    walker.go(7, 6)
    walker.use("RIGHT")
    walker.press("RIGHT")
    assert walker.where() == ("ROUTE_2", 7, 6)  # no badge, no cutting
    walker = at(emulator, "port")
    walker.go(10, 9)
    walker.use("DOWN")
    assert walker.where() == ("PORT", 10, 9)  # one badge, no ferry


def test_nobody_leaves_the_first_town_without_a_monster(walker):
    walker.go(8, 2)
    for _ in range(3):
        walker.use("UP")
    assert walker.where() == ("FERN", 8, 2)


@pytest.mark.parametrize(("healed", "wakes"), [(False, ("FERN", 7, 9)), (True, ("HEALER", 6, 3))])
def test_all_faint_and_the_player_wakes_where_it_was_healed_last_with_half_the_money(walker, healed, wakes):
    walker.go(6, 8)
    walker.use("UP")  # the one of fire, which stones put out
    walker.go(8, 0)
    walker.go(7, 0)
    if healed:
        walker.go(3, 4)
        list(heal(walker))
        walker.go(7, 6)
    walker.go(16, 4)
    money = walker.reading().money
    for step in (lambda: walker.go(10, 4), lambda: walker.go(7, 2), lambda: walker.use("UP")):
        if walker.where()[0] == "GYM_1":
            with contextlib.suppress(AssertionError):  # the walker's, who did not get where it wanted
                step()
    assert walker.where() == wakes
    reading = walker.reading()
    assert reading.badges == 0
    assert all(monster.health == monster.full_health for monster in reading.party)
    assert reading.money <= (money + 200) // 2
    if healed:  # the door leads back to the town that it was in
        walker.go(7, 6)
        assert walker.where() == ("OAK", 3, 5)


def fingerprint(emulator, frames=900):
    """All pictures and all memory, frame by frame, of some play."""
    digest, generator = hashlib.sha256(), np.random.default_rng(5)
    named = np.array(
        [button is not None for button in PAD]
    )  # the others are the core's turbo, whose clock no state has
    for _ in range(frames // 6):
        pad = (generator.random(len(PAD)) < 0.3) & named
        emulator.play(np.tile(pad.astype(np.uint8), (6, 1)), (), never)
        digest.update(emulator.picture().tobytes())
        digest.update(emulator.inspect(lambda blocks: b"".join(blocks[start] for start in sorted(blocks))))
    return digest.hexdigest()


def test_the_same_inputs_from_a_state_give_the_same_pictures_and_memory_here_and_in_another_process(emulator):
    emulator.load("gym.1")
    first = fingerprint(emulator)
    emulator.load("gym.1")
    assert fingerprint(emulator) == first
    emulator.load("oak")
    assert fingerprint(emulator) != first
    program = (
        "from tests.retro.pokemon.helpers import MONSTERS, Emulator, homebrew\n"
        "from tests.retro.pokemon.test_monsters import fingerprint\n"
        "with Emulator(homebrew(MONSTERS)) as emulator:\n"
        "    emulator.load('gym.1')\n"
        "    print(fingerprint(emulator))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == first, done.stderr


def test_a_state_that_is_set_twice_looks_the_same_and_has_its_sprites(emulator):
    pictures = []
    for between in ("oak", "start", "start"):
        emulator.load(between)
        emulator.advance()
        emulator.load("start")
        emulator.advance()
        pictures.append(emulator.picture())
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[1] == pictures[2]).all()
    ball = pictures[0][80:96, 64:80].reshape(-1, 3)
    assert len(np.unique(ball, axis=0)) > 3  # red, white, outline and grass


def test_the_picture_is_whole(walker):
    picture = walker.emulator.picture()
    assert (picture.shape, picture.dtype) == ((160, 240, 3), np.uint8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 12
