"""stable-retro's own Street Fighter II integration reads our game right."""

import json
import shutil
import subprocess
import sys

import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.retro.game_files import homebrew  # noqa: E402
from tests.retro.helpers import GAME  # noqa: E402

REAL = "StreetFighterIISpecialChampionEdition-Genesis-v0"
STATE = "Champion.Level1.RyuVsGuile"

# In a process of its own, whose custom paths end with it.
PROGRAM = """
import json, sys
import numpy as np
import stable_retro
integrations = stable_retro.data.Integrations
integrations.add_custom_path(sys.argv[1])
env = stable_retro.make(sys.argv[2], inttype=integrations.CUSTOM, render_mode="rgb_array",
                        use_restricted_actions=stable_retro.Actions.ALL)
env.reset()
step, rows, ended = 0, [], False
generator = np.random.default_rng(0)
while not ended and step < 20_000:
    # It steps back while the other comes, so that it is beaten in two rounds and sees the continue screen.
    action = np.zeros(12, np.int8)
    action[generator.integers(12)] = step % 8 == 0
    action[3] = 0
    picture, reward, ended, _, info = env.step(action)
    step += 1
    direct = {name: env.data.memory.extract(address, kind) for name, address, kind in json.loads(sys.argv[3])}
    rows.append([info, direct])
print(json.dumps({"rows": rows[::10] + rows[-1:], "ended": ended, "shape": picture.shape}))
"""


def test_the_shipped_data_json_reads_our_rom_under_the_real_games_name(tmp_path):
    files = homebrew(GAME)
    folder = tmp_path / REAL
    folder.mkdir()
    shutil.copy(files.rom, folder / "rom.md")
    shutil.copy(files.states.parent / GAME / "rom.sha", folder)
    shutil.copy(files.states / "rusher.hard.left.state", folder / f"{STATE}.state")
    names = ("health", "enemy_health", "matches_won", "enemy_matches_won", "continuetimer", "score")
    ours = json.dumps([(name, files.variables[name].address, files.variables[name].type) for name in names])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), REAL, ours], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["shape"] == [200, 256, 3]
    for theirs, direct in said["rows"]:
        assert theirs == direct
    assert said["rows"][0][0]["health"] == said["rows"][0][0]["enemy_health"] == 176
    assert min(row["health"] for row, _ in said["rows"]) == -1
    last = said["rows"][-1][0]
    assert (said["ended"], last["continuetimer"], last["enemy_matches_won"]) == (True, 10, 2)
