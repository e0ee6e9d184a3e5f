"""Decoding agrees with a slow reference that was written from the layout, on random memory and on made-up memory."""

import numpy as np
import pytest

from hakisa_envs.retro.pokemon.emerald import Monster, Place, Scene, party, read
from tests.retro.pokemon.images import ORDERS, Image, got, packed, put


def slow_monster(memory: bytes, at: int) -> Monster | None:
    key = got(memory, at, 4) ^ got(memory, at + 4, 4)
    words = [got(memory, at + 0x20 + 4 * index, 4) ^ key for index in range(12)]
    halves = [half for word in words for half in (word % 65536, word // 65536)]
    growth = 3 * ORDERS[got(memory, at, 4) % 24].index("G")
    species, level = words[growth] % 65536, memory[at + 0x54]
    if sum(halves) % 65536 != got(memory, at + 0x1C, 2) or species == 0 or not 0 < level < 101:
        return None
    return Monster(species, words[growth + 1], level, got(memory, at + 0x56, 2), got(memory, at + 0x58, 2))


def slow(image: Image) -> dict:
    ewram, iwram = image.ewram, image.iwram
    one, two = got(iwram, 0x5D8C, 4), got(iwram, 0x5D90, 4)
    at_1 = one - 0x02000000 if one >= 0x02000000 and one + 0x1270 + 300 <= 0x02040000 else None
    at_2 = two - 0x02000000 if two >= 0x02000000 and two + 0xB0 <= 0x02040000 else None
    found = dict.fromkeys(("place", "money", "flags", "seen", "owned", "party"))
    if at_1 is not None:
        x, y = ((got(ewram, at_1 + at, 2) ^ 0x8000) - 0x8000 for at in (0, 2))
        group, number = ((ewram[at_1 + at] ^ 0x80) - 0x80 for at in (4, 5))
        found["place"] = Place(group, number, x, y)
        found["flags"] = {f for f in range(2400) if ewram[at_1 + 0x1270 + (f >> 3)] >> (f & 7) & 1}
    if at_2 is not None:
        for name, start in (("owned", 0x28), ("seen", 0x5C)):
            found[name] = {n for n in range(416) if ewram[at_2 + start + n // 8] >> n % 8 & 1}
    if at_1 is not None and at_2 is not None:
        money = got(ewram, at_1 + 0x490, 4) ^ got(ewram, at_2 + 0xAC, 4)
        found["money"] = money if money < 1_000_000 else None
    monsters = [slow_monster(ewram, 0x244EC + 100 * index) for index in range(min(6, ewram[0x244E9]))]
    if ewram[0x244E9] < 7 and None not in monsters:
        found["party"] = tuple(monsters)
    return found


def bits(number):
    return None if number is None else {bit for bit in range(number.bit_length()) if number >> bit & 1}


def assert_same(image):
    reading, expected = read(image.blocks()), slow(image)
    for name in ("place", "money", "party"):
        assert getattr(reading, name) == expected[name], name
    for name in ("flags", "seen", "owned"):
        assert bits(getattr(reading, name)) == expected[name], name
    return reading


@pytest.mark.parametrize("seed", range(12))
def test_random_memory_reads_as_the_reference_reads_it(seed):
    generator = np.random.default_rng(seed)
    image = Image.random(generator)
    image.ewram[0x244E9] = int(generator.integers(4))
    assert_same(image)
    image.money(int(generator.integers(1_000_000)), int(generator.integers(1 << 32)))
    monsters = [
        packed(*(int(generator.integers(low, 1 << size)) for low, size in ((0, 32), (0, 32), (1, 9), (0, 24))), *rest)
        for rest in generator.integers(1, 101, (int(generator.integers(7)), 3)).tolist()
    ]
    reading = assert_same(image.party(*monsters))
    assert (reading.money, len(reading.party)) == (slow(image)["money"], len(monsters))
    assert reading.money is not None


@pytest.mark.parametrize("personality", range(24))
def test_every_order_of_the_encrypted_parts_is_read(personality):
    image = Image().party(packed(24 * 987654 + personality, 0xDEADBEEF, 277, 123456, 42, 99, 120))
    assert party(bytes(image.ewram)) == (Monster(277, 123456, 42, 99, 120),)


@pytest.mark.parametrize("at", [0x00, 0x04, 0x1C, 0x20, 0x33, 0x4F])
def test_a_party_in_mid_write_is_no_reading(at):
    whole = packed(7, 0x12345678, 1, 100, 5, 20, 20)
    torn = bytearray(whole)
    torn[at] ^= 0x41
    for monsters in ((torn,), (whole, torn), (torn, whole)):
        assert read(Image().party(*map(bytes, monsters)).blocks()).party is None


def test_a_slot_that_is_counted_before_it_is_written_and_a_count_past_six_are_no_reading():
    image = Image().party(packed(7, 0x12345678, 1, 100, 5, 20, 20))
    image.ewram[0x244E9] = 2  # its checksum of 48 zeros is right, but nobody is there
    assert read(image.blocks()).party is None
    image.ewram[0x244E9] = 7
    assert read(image.blocks()).party is None
    image.ewram[0x244E9] = 0
    assert read(image.blocks()).party == ()


END_1, END_2 = 0x02040000 - 0x1270 - 300, 0x02040000 - 0xB0


@pytest.mark.parametrize("pointer", [0, 0x01FFFFFF, 0x03005D8C, 0x08000000, 0xFFFFFFFF, 0x0203FFFF])
def test_a_pointer_that_points_nowhere_is_no_reading_and_the_last_values_stand(pointer):
    before = read(Image().point(0x02025A00, 0x02024A54).stand(3, 4).money(50, 9).flag(0x867).blocks())
    lost_1 = read(Image().point(pointer, 0x02024A54).blocks())
    assert (lost_1.place, lost_1.flags, lost_1.money) == (None, None, None)
    assert lost_1.seen == 0
    lost_2 = read(Image().point(0x02025A00, pointer).blocks())
    assert (lost_2.seen, lost_2.owned, lost_2.money, lost_2.flags) == (None, None, None, 0)
    kept = lost_1.over(before)
    assert (kept.place, kept.money, kept.flags) == (Place(0, 0, 3, 4), 50, 1 << 0x867)


def test_the_last_place_where_a_block_fits_is_read_and_the_next_is_not():
    assert read(Image().point(END_1, END_2).stand(7, 8).blocks()).place == Place(0, 0, 7, 8)
    assert read(Image().point(END_1 + 1, END_2 + 1).blocks()).place is None
    assert read(Image().point(END_1 + 1, END_2 + 1).blocks()).seen is None


def test_pointers_and_the_key_may_change_between_two_readings():
    image = Image().point(0x02025A00, 0x02024A54).stand(1, 2).money(3000, 0xAABBCCDD)
    assert read(image.blocks()).money == 3000
    image.point(0x02025A00 + 124, 0x02024A54 + 60).stand(5, 6, 1, 2).money(3000, 0x11223344)
    reading = read(image.blocks())
    assert (reading.money, reading.place) == (3000, Place(1, 2, 5, 6))


def test_money_that_cannot_be_is_no_reading():
    image = Image().point(0x02025A00, 0x02024A54).money(1_000_000, 77)
    assert read(image.blocks()).money is None
    assert read(image.money(999_999, 77).blocks()).money == 999_999


def test_places_are_signed():
    image = Image().point(0x02025A00, 0x02024A54).stand(-1, -2, -1, 5)
    assert read(image.blocks()).place == Place(-1, 5, -1, -2)


@pytest.mark.parametrize(
    ("callback", "scene"),
    [(0x08085E5D, Scene.OVERWORLD), (0x08038421, Scene.BATTLE), (0x08085E5C, Scene.OTHER), (0, Scene.OTHER)],
)
def test_scenes(callback, scene):
    image = Image()
    put(image.iwram, 0x22C4, callback, 4)
    image.iwram[0x0F2C] = callback != 0
    reading = read(image.blocks())
    assert (reading.scene, reading.locked) == (scene, callback != 0)
