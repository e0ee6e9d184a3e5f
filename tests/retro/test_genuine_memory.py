"""Street Fighter II's numbers, read from the genuine memory that stable-retro ships."""

import subprocess
import sys

import pytest

retro = pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')

from hakisa_envs.retro.game_files import homebrew  # noqa: E402
from hakisa_envs.retro.street_fighter.memory import VARIABLES, Frame  # noqa: E402
from hakisa_envs.retro.street_fighter.rules import Meaning, meaning  # noqa: E402

# In a process of its own: the core takes any state of the right size, and the game that it is of is not there to run.
PROGRAM = """
import gzip, sys, stable_retro
from hakisa_envs.retro.street_fighter.memory import VARIABLES
emulator, data = stable_retro.RetroEmulator(sys.argv[1]), stable_retro.data.GameData()
emulator.configure_data(data)
emulator.step()
assert emulator.set_state(gzip.open(sys.argv[2]).read())
print([int(data.memory.extract(variable.address, variable.type)) for variable in VARIABLES])
"""


def test_a_round_that_is_about_to_begin():
    game = "StreetFighterIISpecialChampionEdition-Genesis-v0"
    state = retro.data.get_file_path(game, "Champion.Level1.RyuVsGuile.state", retro.data.Integrations.STABLE)
    rom = homebrew("HakisaFighter-Genesis-v0").rom
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(rom), str(state)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    frame = Frame(*map(int, done.stdout.strip().strip("[]").split(",")))
    assert len(frame) == len(VARIABLES)
    assert (frame.health, frame.enemy_health, frame.timer, frame.score) == (176, 176, 0x9928, 0)
    assert (frame.x, frame.enemy_x, frame.y, frame.enemy_y) == (205, 307, 192, 192)
    assert (frame.status, frame.enemy_status, frame.enemy_character) == (512, 512, 3)
    assert meaning(frame) is not Meaning.FIGHTING
