"""`Hakisa/PokemonRed-v0` on Walk, a ROM of ours that fills Red's addresses; and on the user's Red where it is found."""

import hashlib
import importlib.util
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')
from hakisa_envs.errors import UnknownOptionError
from hakisa_envs.retro.errors import RomError
from hakisa_envs.retro.find import imported, known_roms
from hakisa_envs.retro.game_files import HOMEBREW, Variable, homebrew
from hakisa_envs.retro.pokemon.game import RED, WALK
from hakisa_envs.retro.pokemon.rewards import Part, RewardTable
from tests.helpers.roms import users_rom_is_there

NOTHING, A, B, UP, DOWN, LEFT, RIGHT = 0, 1, 2, 3, 6, 9, 12
GAMES = [WALK, *([RED] if users_rom_is_there(RED) and "start" in imported(RED).state_names() else [])]


@pytest.fixture
def make():
    made = []

    def red(**options):
        env = gym.make(
            "Hakisa/PokemonRed-v0",
            **{"game": WALK, "start_frames": 0, "observation": "state", "until_control": 120, **options},
        )
        made.append(env)
        return env

    yield red
    for env in made:
        env.close()


def test_the_rom_is_what_its_generator_makes():
    spec = importlib.util.spec_from_file_location("build_rom", HOMEBREW / "walk" / "build_rom.py")
    build_rom = importlib.util.module_from_spec(spec)
    sys.modules["build_rom"] = build_rom
    spec.loader.exec_module(build_rom)
    files = homebrew(WALK)
    assert build_rom.rom() == files.rom.read_bytes()
    assert hashlib.sha1(build_rom.rom(), usedforsecurity=False).hexdigest() == files.rom_sha1


def test_a_decision_is_a_tile_or_a_word_and_is_read_and_paid(make):
    env = make()
    _, info = env.reset(seed=1)
    assert (info["place"], info["badges"], info["start"]) == ((1, 38, 3, 6), 0, "start")
    _, reward, _, _, info = env.step(RIGHT)
    assert (info["place"], info["frames"]) == ((1, 38, 4, 6), 16)
    assert reward == info["reward_tile"] == pytest.approx(0.03)
    _, reward, _, _, info = env.step(A)
    assert (info["reward_event"], reward, info["frames"]) == (1.0, 1.0, 21)
    assert env.step(A)[1] == 0.0  # the same event
    assert env.unwrapped._game.reading.money == 3002
    for _ in range(6):
        info = env.step(UP)[4]
    assert info["place"] == (1, 38, 4, 0)
    assert env.step(B)[4]["reward_badge"] == 10.0
    assert env.unwrapped._game.reading.party[0].health == 19 - 7
    for _ in range(8):
        env.step(DOWN)
    assert env.unwrapped._game.reading.scene.value == "battle"
    infos = [env.step(RIGHT)[4] for _ in range(12)]
    assert infos[-1]["place"] == (1, 39, 0, 8)
    assert infos[-1]["reward_map"] == 1.0


def test_a_goal_and_a_wrong_money_and_party(make):
    env = make(goal=1, reward=RewardTable((Part("levels", "maximum", "levels", 1.0, ceiling=99),)))
    env.reset(seed=1)
    emulator = env.unwrapped._game.open()
    emulator.write(Variable(0xD163, "|u1"), 7)
    emulator.write(Variable(0xD348, "|u1"), 0x3A)
    _, reward, _, _, info = env.step(NOTHING)
    assert (reward, info["read"]) == (0.0, False)
    emulator.write(Variable(0xD163, "|u1"), 1)
    emulator.write(Variable(0xD348, "|u1"), 0x30)
    emulator.write(Variable(0xD18C, "|u1"), 9)
    emulator.write(Variable(0xD356, "|u1"), 0b100)
    _, reward, terminated, _, info = env.step(NOTHING)
    assert (reward, terminated, info["outcome"], info["read"]) == (4.0, True, "win", True)


@pytest.mark.parametrize("edition", GAMES)
def test_the_same_seed_and_actions_are_the_same_after_a_restore_and_beside_another(make, edition):
    actions = np.random.default_rng(4).integers(15, size=30).tolist()
    options = {"game": edition, "observation": "both", "visited_map": True, "sticky": 0.2, "start_frames": 20}

    def rows(env, chosen):
        return [(*(entry.tobytes() for entry in seen.values()), *rest) for seen, *rest in map(env.step, chosen)]

    one, two = make(**options), make(**options)
    one.reset(seed=7)
    two.reset(seed=7)
    first = rows(one, actions[:15])
    kept = pickle.loads(pickle.dumps(one.unwrapped.get_state()))
    after = rows(one, actions[15:])
    assert rows(two, actions[:15]) == first
    two.unwrapped.set_state(kept)
    assert rows(two, actions[15:]) == after


def test_gymnasiums_checker_and_the_picture(make):
    env = make(observation="pixels", until_control=None, render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=1)
    assert env.render().shape == (144, 160, 3)
    copy = pickle.loads(pickle.dumps(env.unwrapped))
    assert (type(copy), copy.game) == (type(env.unwrapped), WALK)


def test_mistakes_are_named_and_so_is_the_rom_that_is_missing(monkeypatch, tmp_path):
    with pytest.raises(UnknownOptionError, match="did you mean 'frame_skip'"):
        gym.make("Hakisa/PokemonRed-v0", frame_skp=3)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(RomError, match=r"(?s)ea9bcae617fdf159b045185467ae58b2e4a48b9a.*hakisa retro import"):
        gym.make("Hakisa/PokemonRed-v0").reset()
    assert known_roms()["ea9bcae617fdf159b045185467ae58b2e4a48b9a"] == (RED, ".gb")
