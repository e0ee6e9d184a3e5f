"""Monsters and its walker, for every module that asks. Where stable-retro is missing, those are skipped."""

import importlib.util

import pytest

if importlib.util.find_spec("stable_retro") is None:

    @pytest.fixture
    def emulator():
        pytest.skip('the extra "retro" is not installed')

    walker = emulator
else:
    from tests.retro.pokemon.helpers import emulator, walker  # noqa: F401


def pytest_generate_tests(metafunc):
    """Tests that ask for a ``journey`` run on Monsters, and on the user's own Emerald where it is found."""
    if "journey" in metafunc.fixturenames:
        from tests.helpers.roms import journeys

        metafunc.parametrize("journey", journeys(), ids=lambda name: name.partition("-")[0])
