"""The ROM in the tree is what its sources build, and its world is as large as it should be."""

import subprocess

import pytest

helpers = pytest.importorskip("tests.retro.pokemon.helpers")
from tests.retro.pokemon.helpers import KINDS, MONSTERS, SOURCES, STEPS, WALKED, maps  # noqa: E402

ROM = SOURCES / MONSTERS / "rom.gba"
COMPILER = "arm-none-eabi-gcc"


@pytest.mark.compiler(COMPILER)
def test_the_sources_build_the_rom_in_the_tree(tmp_path):
    done = subprocess.run(
        ["make", "-s", "-C", str(SOURCES), f"BUILD={tmp_path}", f"{tmp_path}/rom.gba"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = (tmp_path / "rom.gba").read_bytes()
    assert (built[3], built[0xB2]) == (0xEA, 0x96)  # an ARM branch, and the fixed byte of the header
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, timeout=600).stdout.splitlines()[
        0
    ]
    if version == (SOURCES / "compiler.txt").read_text().strip():  # another one may build other bytes
        assert built == ROM.read_bytes()


def test_the_rom_is_small():
    assert ROM.stat().st_size < 100_000


def reachable() -> set[tuple[str, int, int]]:
    """Tiles that can be walked on, with every tree cut and the ferry taken."""
    start = ("FERN", *maps.START)
    found, queue = {start}, [start]
    while queue:
        name, x, y = queue.pop()
        onward = [(name, x + dx, y + dy) for dx, dy in STEPS.values()]
        if maps.PORTALS.get((name, x, y)):
            onward.append(maps.PORTALS[name, x, y])
        if name == "PORT":
            onward.append(("ISLAND", 11, 7))
        for to in onward:
            squares = maps.rows(to[0])
            if to in found or not (0 <= to[2] < len(squares) and 0 <= to[1] < len(squares[0])):
                continue
            if KINDS[squares[to[2]][to[1]]] in (*WALKED, "TREE"):
                found.add(to)
                queue.append(to)
    return found


def test_the_world_is_of_8_to_12_maps_and_600_to_900_tiles_and_all_of_it_can_be_reached():
    tiles = reachable()
    assert 8 <= len(maps.MAPS) <= 12
    assert {name for name, *_ in tiles} == set(maps.MAPS)
    assert 600 <= len(tiles) <= 900, len(tiles)


def test_portals_lead_to_squares_that_are_walked_on_and_that_lead_nowhere():
    for (name, x, y), to in maps.PORTALS.items():
        assert KINDS[maps.rows(name)[y][x]] in WALKED, (name, x, y)
        if to is not None:
            assert KINDS[maps.rows(to[0])[to[2]][to[1]]] in ("FREE", "GRASS_SQUARE"), to
            assert to not in maps.PORTALS, to


def test_every_sign_says_something_that_fits():
    assert len(maps.find("S")) == len(maps.SIGNS)
    for words in maps.SIGNS:
        assert all(len(line) <= 28 for line in words.split("|"))
        assert words.count("|") < 4
