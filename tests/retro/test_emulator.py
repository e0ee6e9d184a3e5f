"""One emulator in a process; states that are loaded only where they belong; frames that repeat."""

import dataclasses
import gzip
import hashlib
import subprocess
import sys

import numpy as np
import pytest

helpers = pytest.importorskip("tests.retro.helpers")
from hakisa_envs.retro.emulator import Emulator  # noqa: E402
from hakisa_envs.retro.errors import RomError, StateError  # noqa: E402
from hakisa_envs.retro.find import imported  # noqa: E402
from hakisa_envs.retro.game_files import homebrew  # noqa: E402
from hakisa_envs.retro.street_fighter.opponents import STREET_FIGHTER  # noqa: E402
from tests.helpers.roms import users_rom_is_there  # noqa: E402
from tests.retro.helpers import GAME, Match  # noqa: E402

RAM_SIZE = 0x10000


def pads(seed: int, count: int) -> list[np.ndarray]:
    """Random buttons of one pad, START left out."""
    held = np.random.default_rng(seed).random((count, 12)) < 0.3
    held[:, 3] = False
    return list(held.astype(np.uint8))


def fingerprint(emulator: Emulator, frames: int = 600, seed: int = 5) -> str:
    """All pictures and all memory, frame by frame, of some play."""
    digest = hashlib.sha256()
    for pad in pads(seed, frames):
        emulator.hold(pad)
        emulator.advance()
        digest.update(emulator.picture().tobytes())
        digest.update(b"".join(emulator._data.memory.blocks[at] for at in sorted(emulator._data.memory.blocks)))
    return digest.hexdigest()


def test_the_same_inputs_from_a_state_give_the_same_pictures_and_memory_here_and_in_another_process(emulator):
    emulator.load("mixed.normal.left")
    first = fingerprint(emulator)
    middle = emulator.get_state()
    one = fingerprint(emulator, 100, 6)
    emulator.set_state(middle)
    assert fingerprint(emulator, 100, 6) == one
    emulator.load("mixed.normal.left")
    assert fingerprint(emulator) == first
    emulator.load("mixed.normal.left")
    assert fingerprint(emulator, seed=7) != first
    program = (
        "from tests.retro.test_emulator import Emulator, GAME, fingerprint, homebrew\n"
        "with Emulator(homebrew(GAME)) as emulator:\n"
        "    emulator.load('mixed.normal.left')\n"
        "    print(fingerprint(emulator))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == first, done.stderr


def test_a_second_emulator_in_a_process_is_refused_until_the_first_is_closed():
    program = (
        "from hakisa_envs.retro.errors import EmulatorInUseError\n"
        "from tests.retro.test_emulator import Emulator, GAME, homebrew\n"
        "first = Emulator(homebrew(GAME))\n"
        "try:\n"
        "    Emulator(homebrew(GAME))\n"
        "except EmulatorInUseError as error:\n"
        "    print(error)\n"
        "first.close(); first.close()\n"
        "with Emulator(homebrew(GAME)) as second:\n"
        "    second.load('versus')\n"
        "    print('opened')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    refused, opened = done.stdout.splitlines()
    assert "in a process of its own" in refused
    assert opened == "opened", done.stderr


def test_every_state_begins_a_first_round_of_the_match_that_it_names(emulator):
    match = Match(emulator)
    states = sorted(path.stem for path in emulator.files.states.glob("*.state"))
    assert len(states) == 31
    for state in states:
        emulator.load(state)
        assert match["phase"] == helpers.INTRO, state
        assert (match["timer"], match["health"], match["enemy_health"]) == (helpers.NOT_STARTED, 176, 176)
        assert match["score"] > 0 or state.startswith("passive.easy")
        if state == "versus":
            assert match["enemy_character"] == 255
            continue
        style, strength, side = state.split(".")
        number = 8 * ("easy", "normal", "hard").index(strength) + (
            "passive", "turtle", "rusher", "zoner", "mixed"
        ).index(style)  # fmt: skip
        assert match["enemy_character"] == number
        assert (match["x"] < match["enemy_x"]) == (side == "left")


def test_a_state_that_is_not_there_is_refused_with_those_that_are(emulator):
    with pytest.raises(StateError, match=r"no state 'mixt\.normal'.*mixed\.normal\.left"):
        emulator.load("mixt.normal")


def test_a_state_of_another_rom_is_refused_by_its_sha1(emulator, tmp_path):
    state = tmp_path / "other.state"
    emulator.save(state)
    emulator.load(state)
    other = dataclasses.replace(emulator.origin, rom_sha1="0" * 40)
    saved, emulator.origin = emulator.origin, other
    emulator.save(state)
    emulator.origin = saved
    with pytest.raises(StateError, match=rf"rom_sha1 '{'0' * 40}', and this game has '{saved.rom_sha1}'"):
        emulator.load(state)


@pytest.mark.parametrize(("field", "value"), [("core", "Snes"), ("version", "0.9")])
def test_a_state_of_another_core_is_refused(emulator, tmp_path, field, value):
    state, saved = tmp_path / "other.state", emulator.origin
    emulator.origin = dataclasses.replace(saved, **{field: value})
    emulator.save(state)
    emulator.origin = saved
    with pytest.raises(StateError, match=f"{field} '{value}'"):
        emulator.load(state)
    # What a checkpoint holds is looked at like a file.
    with pytest.raises(StateError, match=f"The state of .* is of {field} '{value}'"):
        emulator.set_state(state.read_bytes())


def test_a_state_that_does_not_say_whose_it_is_is_refused(emulator, tmp_path):
    state = tmp_path / "plain.state"
    state.write_bytes(gzip.compress(gzip.decompress(emulator.get_state())))
    with pytest.raises(StateError, match="does not say which ROM"):
        emulator.load(state)


def test_broken_states_are_refused(emulator, tmp_path):
    state = tmp_path / "own.state"
    emulator.save(state)
    whole = state.read_bytes()
    for broken in (b"", b"not gzip at all", whole[: len(whole) // 2], whole[:-20] + bytes(20)):
        state.write_bytes(broken)
        with pytest.raises(StateError, match="broken"):
            emulator.load(state)
        with pytest.raises(StateError, match="broken"):
            emulator.set_state(broken)
    text = b'"sha256": "'
    at = whole.index(text) + len(text)
    state.write_bytes(whole[:at] + (b"0" if whole[at : at + 1] != b"0" else b"1") + whole[at + 1 :])
    with pytest.raises(StateError, match="changed after"):
        emulator.load(state)


@pytest.mark.parametrize(
    ("content", "says"), [("short", "has 10"), ("zeros", "does not take"), ("another game", "not 0x484b4654")]
)
def test_bytes_that_are_no_state_of_the_game_change_nothing(emulator, content, says):
    match = Match(emulator).begin("zoner.hard.right")
    state = gzip.decompress(emulator.get_state())
    if content == "another game":  # the core takes it: it is of the right size and form
        magic, _ = emulator.files.magic
        emulator.write(magic, 0x12345678)
        wrong = gzip.decompress(emulator.get_state())
        emulator.set_core(state)
    else:
        wrong = bytes(10 if content == "short" else len(state))
    with pytest.raises(StateError, match=says):
        emulator.set_core(wrong)
    assert (match["enemy_character"], match["phase"]) == (19, helpers.FIGHTING)


def test_our_states_are_such_as_stable_retro_reads(emulator):
    path = emulator.files.states / "versus.state"
    assert len(gzip.decompress(path.read_bytes())) == len(gzip.decompress(emulator.get_state()))


def test_nothing_is_held_after_a_state_is_set(match):
    match.play(5, "RIGHT")
    match.emulator.load("versus")
    for _ in range(150):
        match.emulator.advance()
    assert match["x"] == 205


def test_the_picture_is_cropped_whole_and_ones_own(match):
    match.play(1)
    picture = match.emulator.picture()
    assert (picture.shape, picture.dtype, picture.flags.c_contiguous) == ((200, 256, 3), np.uint8, True)
    before = picture.copy()
    match.play(20, "RIGHT", "LEFT")
    assert (picture == before).all()
    assert (match.emulator.picture() != before).any()


def test_an_unknown_button_is_named(emulator):
    with pytest.raises(ValueError, match=r"no button 'L'.*START"):
        emulator.mask(["L"])


def test_an_unknown_game_is_named():
    with pytest.raises(RomError, match=r"no game 'Fihgter'.*HakisaFighter"):
        homebrew("Fihgter")
    with pytest.raises(RomError, match="knows no game 'Fihgter-Genesis-v0'"):
        imported("Fihgter-Genesis-v0")


def test_a_game_whose_rom_is_not_there_is_refused_with_how_to_import_it():
    if users_rom_is_there():
        pytest.skip("the user's ROM is there")
    with pytest.raises(RomError, match=r"(?s)a5aad1d108046d9388e33247610dafb4c6516e0b.*hakisa retro import"):
        imported(STREET_FIGHTER)


def test_no_custom_path_shadows_the_users_rom(tmp_path, monkeypatch):
    """Somebody adds one to stable-retro, as our own test of the shipped data does in a process of its own."""
    import stable_retro

    folder = tmp_path / "Airstriker-Genesis-v0"
    folder.mkdir()
    (folder / "rom.md").write_bytes(homebrew(GAME).rom.read_bytes())
    integrations = stable_retro.data.Integrations
    integrations.add_custom_path(str(tmp_path))
    try:
        found = stable_retro.data.get_romfile_path(folder.name, integrations.CUSTOM)
        assert found == str(folder / "rom.md")
        assert not imported(folder.name).rom.is_relative_to(tmp_path)
    finally:
        integrations.clear_custom_paths()


def test_another_rom_under_the_games_name_is_refused(tmp_path):
    rom = tmp_path / "rom.md"
    rom.write_bytes(homebrew(GAME).rom.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(RomError, match=f"needs {homebrew(GAME).rom_sha1}"):
        Emulator(dataclasses.replace(homebrew(GAME), rom=rom))
