"""The ROM in the tree is what its sources build, and the library that balance is measured on plays as the ROM does."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.retro.game_files import HOMEBREW, Variable  # noqa: E402
from tests.retro.helpers import GAME  # noqa: E402

SOURCES = HOMEBREW / "fighter"
ROM = SOURCES / GAME / "rom.md"
COMPILER = "m68k-linux-gnu-gcc"


def make(folder: Path, target: str) -> None:
    done = subprocess.run(
        ["make", "-s", "-C", str(SOURCES), f"BUILD={folder}", target], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.compiler(COMPILER)
def test_the_sources_build_the_rom_in_the_tree(tmp_path):
    make(tmp_path, f"{tmp_path}/rom.md")
    built = (tmp_path / "rom.md").read_bytes()
    assert built[0x100:0x110] == b"SEGA MEGA DRIVE "
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, timeout=600).stdout.splitlines()[
        0
    ]
    if version == (SOURCES / "compiler.txt").read_text().strip():  # another one may build other bytes
        assert built == ROM.read_bytes()


def test_the_rom_is_small():
    assert ROM.stat().st_size < 100_000


BITS = {"UP": 1, "DOWN": 2, "LEFT": 4, "RIGHT": 8, "B": 16, "C": 32, "A": 64, "Z": 256, "Y": 512, "X": 1024}
START = 128


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_native_game_plays_as_the_rom_does_frame_by_frame(emulator, tmp_path):
    make(tmp_path, "native")
    native = ctypes.CDLL(str(tmp_path / "fighter.so"))
    native.game_ram.restype = ctypes.POINTER(ctypes.c_uint8)
    ram = np.ctypeslib.as_array(native.game_ram(), (0x172C,))

    def both(name, address, kind):
        """A number as the ROM and as the library have it."""
        mine = int.from_bytes(ram[address : address + int(kind[-1])].tobytes(), "little", signed=kind[1] == "i")
        return name, emulator.read(Variable(0xFF8000 + address, kind)), mine

    watched = [("random", 0x1004, ">u4"), ("phase", 0x1009, "|u1"), ("timer", 0x172A, ">u2")]
    for player in (0, 0x280):
        watched += [
            ("status", player + 0x02, ">u2"), ("x", player + 0x06, ">u2"), ("y", player + 0x0A, ">u2"),
            ("health", player + 0x42, ">i2"), ("action", player + 0x8E, "|u1"), ("attacks", player + 0x94, "|u1"),
            ("low", player + 0x92, "|u1"), ("pad", player + 0x8A, ">u2"),
        ]  # fmt: skip

    emulator.load("mixed.hard.right")
    emulator.set_state(emulator.get_state())
    # The library has no states: it is brought to the same frame by the same presses, and then given the random number.
    native.begin(20, 1, 1)
    while int.from_bytes(ram[0x100A:0x100C].tobytes(), "little") < emulator.read(Variable(0xFF900A, ">u2")):
        native.game_frame(0, 0)
    ram[0x1004:0x1008] = list(emulator.read(Variable(0xFF9004, ">u4")).to_bytes(4, "little"))

    generator, rounds = np.random.default_rng(3), 0
    for _ in range(1500):
        held = [name for name in BITS if generator.random() < 0.25]
        emulator.hold(emulator.mask(held))
        for _ in range(4):
            emulator.advance()
            native.game_frame(sum(BITS[name] for name in held), 0)
            for row in watched:
                name, rom, library = both(*row)
                assert rom == library, name
        rounds = max(rounds, ram[0x100C])
    assert rounds > 1
