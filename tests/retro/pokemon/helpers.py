"""Plays Monsters by hand: the walker that records its states, and its memory by address."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("stable_retro", reason='the extra "retro" is not installed')

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import HOMEBREW, homebrew
from hakisa_envs.retro.pokemon.game import MONSTERS

SOURCES = HOMEBREW / "monsters"
sys.path.append(str(SOURCES))  # its scripts import one another from their own folder

import maps  # noqa: E402
from walker import KINDS, STEPS, WALKED, Walker, journey  # noqa: E402

__all__ = ["KINDS", "MONSTERS", "SOURCES", "STEPS", "WALKED", "Walker", "emulator", "journey", "maps", "walker"]


@pytest.fixture(scope="module")
def emulator():
    with Emulator(homebrew(MONSTERS)) as opened:
        yield opened


@pytest.fixture
def walker(emulator):
    emulator.load("start")
    emulator.advance()
    return Walker(emulator)
