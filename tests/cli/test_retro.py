"""``hakisa retro``: ROMs are imported by sha1, start states recorded; what is wrong comes with what mends it."""

import gzip
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import gymnasium as gym
import pytest

stable_retro = pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')

from hakisa_algos.cli.main import main  # noqa: E402
from hakisa_envs.retro import library  # noqa: E402
from hakisa_envs.retro.errors import StateError  # noqa: E402
from hakisa_envs.retro.find import find_game, known_roms  # noqa: E402
from hakisa_envs.retro.game_files import user_folder  # noqa: E402
from hakisa_envs.retro.pokemon.game import WALK  # noqa: E402

FIGHTER, MONSTERS = "HakisaFighter-Genesis-v0", "HakisaMonsters-GbAdvance-v0"
STREET_FIGHTER, EMERALD = "StreetFighterIISpecialChampionEdition-Genesis-v0", "PokemonEmerald-GbAdvance-v0"
AIRSTRIKER = "Airstriker-Genesis-v0"  # a free game, whose ROM stable-retro ships


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def rom(monkeypatch):
    """A ROM of a game that there is an env of, as it were."""
    monkeypatch.setitem(library.ENVS, AIRSTRIKER, "Airstriker")
    return Path(stable_retro.data.get_romfile_path(AIRSTRIKER))


def retro(*words):
    return main(["retro", *map(str, words)])


def test_a_rom_that_a_copier_interleaved_is_read():
    rom = os.urandom(2 * 0x4000)
    blocks = (rom[:0x4000], rom[0x4000:])
    written = bytes(512) + b"".join(block[1::2] + block[::2] for block in blocks)
    assert rom in library._as_read(written)
    assert list(library._as_read(rom)) == [rom]


@pytest.mark.parametrize("packed", [False, True])
def test_a_rom_or_a_zip_with_one_is_copied_to_where_envs_find_it(rom, packed, tmp_path, capsys):
    file = tmp_path / "any name.bin"
    if packed:
        file = tmp_path / "games.zip"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("README", "no ROM")
            archive.writestr("folder/any name.bin", rom.read_bytes())
    else:
        file.write_bytes(rom.read_bytes())
    assert retro("import", file) == 0
    assert AIRSTRIKER in capsys.readouterr().out
    found = find_game(AIRSTRIKER)
    assert found.rom.parent == user_folder(AIRSTRIKER)
    assert found.rom.read_bytes() == rom.read_bytes()


def test_a_rom_that_stable_retro_imported_is_found(rom, capsys):
    assert find_game(AIRSTRIKER).rom == rom
    assert retro("list") == 0
    assert str(rom) in capsys.readouterr().out


def test_what_is_no_rom_of_ours_is_named_by_its_sha1_and_the_other_files_are_imported(rom, tmp_path, capsys):
    broken, missing = tmp_path / "broken.md", tmp_path / "missing.md"
    broken.write_bytes(rom.read_bytes()[:-1])
    assert retro("import", broken, missing, rom) == 2
    said = capsys.readouterr()
    assert AIRSTRIKER in said.out
    assert re.search(r"broken\.md: sha1 [0-9a-f]{40}, which nobody knows", said.err)
    assert "missing.md cannot be read" in said.err
    assert "a5aad1d108046d9388e33247610dafb4c6516e0b" in said.err  # which would be right


def test_a_game_that_there_is_no_env_of_is_named(capsys):
    assert retro("import", stable_retro.data.get_romfile_path(AIRSTRIKER)) == 2
    assert f"which is {AIRSTRIKER}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"PK\x03\x04 torn", b""])
def test_torn_files_are_refused_in_words(content, tmp_path, capsys):
    file = tmp_path / "games.zip"
    file.write_bytes(content)
    assert retro("import", file) == 2
    assert "games.zip" in capsys.readouterr().err


def test_a_torn_zip_is_refused_in_words(rom, tmp_path, capsys):
    file = tmp_path / "games.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rom.md", rom.read_bytes())
    content = file.read_bytes()
    file.write_bytes(content[:1000] + bytes(1000) + content[2000:])
    assert retro("import", file) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_rom_that_went_bad_is_listed_as_such(rom, tmp_path, capsys):
    assert retro("import", rom) == 0
    copy = find_game(AIRSTRIKER).rom
    copy.write_bytes(b"gone bad")
    assert retro("list") == 0
    said = capsys.readouterr().out
    assert f"{copy} has the sha1" in said
    assert "hakisa retro import FILE" in said


def test_a_state_is_recorded_by_keys_listed_and_played_from(capsys):
    assert retro("state", FIGHTER, "--name", "mine", "--keys", "60", "RIGHT", "START", "60") == 0
    assert "a fight against passive normal begins after" in capsys.readouterr().out
    assert retro("list") == 0
    assert "yours    mine" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    assert "Fighter-v0 yours" in capsys.readouterr().out
    env = gym.make("hakisa_envs:Hakisa/Fighter-v0", states="mine")
    by_path = gym.make("Hakisa/Fighter-v0", states=str(user_folder(FIGHTER) / "mine.state"))
    try:
        assert env.reset(seed=1)[1]["opponent"] == "passive normal"
        assert by_path.reset(seed=1)[1]["opponent"] == "passive normal"
    finally:
        env.close()
        by_path.close()


def test_a_state_of_a_journey_is_recorded_and_played_from(capsys):
    assert retro("state", MONSTERS, "--name", "mine", "--keys", "60", "RIGHT:20") == 0
    said = capsys.readouterr().out
    assert "the player stands on map 0.0 at 10, 9" in said
    assert "--env Hakisa/Monsters-v0 --env-options state=mine" in said
    env = gym.make("hakisa_envs:Hakisa/Monsters-v0", state="mine", observation="state")
    try:
        assert env.reset(seed=1)[1]["x"] == 10
    finally:
        env.close()


def test_a_state_of_red_is_recorded_as_a_journey_too(capsys, monkeypatch):
    """On the ROM of ours that stands in for it."""
    monkeypatch.setitem(library.ENVS, WALK, "Hakisa/PokemonRed-v0")
    assert retro("state", WALK, "--name", "mine", "--keys", "120", "RIGHT:16", "20") == 0
    assert "the player stands on map 1.38 at " in capsys.readouterr().out


@pytest.mark.parametrize("game", [STREET_FIGHTER, EMERALD])
def test_a_rom_that_nobody_has_is_listed_with_its_sha1_and_how_to_import_it(game, capsys):
    assert retro("list") == 0
    said = capsys.readouterr().out
    assert game in said
    sha1 = {sha1 for sha1, (name, _) in known_roms().items() if name == game}.pop()
    assert sha1 in said
    assert "hakisa retro import FILE" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", "versus", "--keys", "60"), "choose another one"),
        (("--name", "../mine", "--keys", "60"), "no path"),
        (("--name", "mine", "--keys", "60", "STRAT"), "no button 'STRAT'"),
        (("--name", "mine", "--keys", "60", "1:2"), "'1:2' is no key"),
        (("--name", "mine", "--from", "nobody", "--keys", "1"), "no state 'nobody'"),
        (("--name", "mine", "--keyboard"), "needs a terminal"),
        (("--name", "mine", "--keys", "60"), "no fight begins"),  # the title screen stays
    ],
)
def test_what_makes_no_state_is_said_and_nothing_is_left(words, says, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert retro("state", FIGHTER, *words) == 2
    assert says in capsys.readouterr().err
    assert not list(user_folder(FIGHTER).glob("*"))


def test_a_state_of_another_game_that_the_core_takes_is_refused_where_no_magic_word_tells(tmp_path):
    """The magic word is taken away from our game: what its memory means is left, and no fight comes of it."""
    program = """
import dataclasses, gzip, sys
import stable_retro
from pathlib import Path
from hakisa_envs.retro.saved_state import Origin, pack
from hakisa_envs.retro.street_fighter import fight
files = dataclasses.replace(fight.find_game(sys.argv[1]), magic=None)
fight.find_game = lambda name: files
emulator = fight.open_emulator(files)
state = stable_retro.data.get_file_path("Airstriker-Genesis-v0", "Level1.state")
Path(sys.argv[2]).write_bytes(pack(gzip.open(state).read(), emulator.origin))
emulator.close()
fight.Fight(sys.argv[1], "round").begin(sys.argv[2], 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, FIGHTER, str(tmp_path / "air.state")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert re.search(r"StateError: '.*air\.state' is no start state .* no fight begins", done.stderr), done.stderr


def test_a_state_is_recorded_at_the_keyboard(tmp_path):
    """In a real terminal: the title screen is drawn, arrows and Enter reach the game, W writes."""
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-m", "hakisa_algos", "retro", "state", FIGHTER, "--name", "byhand", "--keyboard"]
        os.execvpe(sys.executable, command, {**os.environ, "TERM": "xterm"})
    said, keys, deadline = b"", [b"\033[C", b"\r", b"w"], time.monotonic() + 600
    drawn = 18  # pictures before the next key
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                said += os.read(terminal, 65536)
            except OSError:  # it has ended
                break
            if keys and said.count(b"W writes") >= drawn:
                os.write(terminal, keys.pop(0))
                drawn += 6
        status = os.waitpid(child, 0)[1]
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    assert os.waitstatus_to_exitcode(status) == 0, said[-2000:]
    assert b"a fight against passive normal begins" in said
    state = user_folder(FIGHTER) / "byhand.state"
    assert len(gzip.decompress(state.read_bytes())) > 100_000


def test_an_unknown_game_is_named(capsys):
    assert retro("state", "Fihgter", "--name", "a", "--keys", "1") == 2
    assert "'Fihgter'" in capsys.readouterr().err


def test_states_are_looked_for_by_name(tmp_path):
    with pytest.raises(StateError, match=r"hakisa retro state HakisaFighter-Genesis-v0 --name mine"):
        find_game(FIGHTER).state_file("mine")
