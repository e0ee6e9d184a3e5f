"""Red's memory: against a slow reference, and on the genuine image that stable-retro ships."""

import subprocess
import sys

import numpy as np
import pytest

from hakisa_envs.retro.pokemon.emerald import Monster, Place, Scene
from hakisa_envs.retro.pokemon.milestones import milestones
from hakisa_envs.retro.pokemon.red import bcd, read_red


@pytest.mark.parametrize("seed", range(8))
def test_random_memory_reads_as_the_reference_reads_it(seed):
    ram = bytearray(np.random.default_rng(seed).bytes(0x2000))
    ram[0x1163] = seed
    if seed % 2:
        ram[0x1347:0x134A] = bytes([0x98, 0x76, 0x54])
    for i in range(min(seed, 6)):
        ram[0x118C + 0x2C * i] %= 110
    reading = read_red(bytes(ram))
    monsters = [
        Monster(
            ram[0x116B + at],
            65536 * ram[0x1179 + at] + 256 * ram[0x117A + at] + ram[0x117B + at],
            ram[0x118C + at],
            256 * ram[0x116C + at] + ram[0x116D + at],
            256 * ram[0x118D + at] + ram[0x118E + at],
        )
        for at in range(0, 0x2C * seed, 0x2C)
    ]
    is_party = seed < 7 and all(1 <= one.level <= 100 for one in monsters)
    assert reading.party == (tuple(monsters) if is_party else None)
    assert {bit for bit in range(2560) if reading.events >> bit & 1} == {
        event for event in range(2560) if ram[0x1747 + event // 8] >> event % 8 & 1
    }
    assert reading.events < 1 << 2560
    digits = [nibble for byte in ram[0x1347:0x134A] for nibble in (byte >> 4, byte & 15)]
    assert reading.money == (sum(d * 10**p for d, p in zip(digits, range(5, -1, -1), strict=True))
                             if max(digits) < 10 else None)  # fmt: skip
    assert (reading.map, reading.y, reading.x, reading.badges) == (ram[0x135E], ram[0x1361], ram[0x1362], ram[0x1356])
    assert reading.in_battle == (ram[0x1057] != 0)
    assert reading.locked == (ram[0xD6B] != 0)
    common = reading.as_reading()
    assert common.place == Place(int(ram[0x135E] > 36), ram[0x135E], ram[0x1362], ram[0x1361])
    assert [common.flags >> 0x867 + badge & 1 for badge in range(8)] == [ram[0x1356] >> bit & 1 for bit in range(8)]
    assert common.badges == ram[0x1356].bit_count()
    assert common.flags >> 0x1000 == reading.events
    assert common.scene is (Scene.BATTLE if ram[0x1057] else Scene.OVERWORLD)


@pytest.mark.parametrize(("number", "found"), [(0, ["map.0.0"]), (36, ["map.0.36"]), (37, []), (247, [])])
def test_milestones_are_towns_and_routes(number, found):
    ram = bytearray(0x2000)
    ram[0x135E] = number
    assert milestones(read_red(bytes(ram)).as_reading()) == found


@pytest.mark.parametrize(
    ("data", "number"), [("003000", 3000), ("999999", 999_999), ("000000", 0), ("00000a", None), ("f00000", None)]
)
def test_binary_coded_decimals(data, number):
    assert bcd(bytes.fromhex(data)) == number


PROGRAM = """
import gzip, sys, stable_retro
rom, state = sys.argv[1:]
emulator, data = stable_retro.RetroEmulator(rom), stable_retro.data.GameData()
emulator.configure_data(data)
emulator.step()
assert emulator.set_state(gzip.open(state).read())
blocks = data.memory.blocks
print((blocks[0xC000] + blocks[0xD000]).hex())
"""


def test_the_genuine_image_that_stable_retro_ships(tmp_path):
    retro = pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')
    state = retro.data.get_file_path("PokemonRed-GameBoy", "start.state", retro.data.Integrations.ALL)
    blank = bytearray(1 << 20)  # any cartridge of the same kind and size takes the state
    blank[0x100:0x104], blank[0x147], blank[0x149] = b"\x18\xfe\x00\x00", 0x13, 3
    (tmp_path / "blank.gb").write_bytes(blank)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "blank.gb"), str(state)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reading = read_red(bytes.fromhex(done.stdout))
    assert (reading.map, reading.y, reading.x, reading.money) == (38, 6, 3, 3000)
    assert (reading.badges, reading.party, reading.in_battle) == (0, (), False)
