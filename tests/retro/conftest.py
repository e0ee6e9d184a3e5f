"""The emulator and a match in it, for every module that asks. Where stable-retro is missing, those are skipped."""

import importlib.util

import pytest

if importlib.util.find_spec("stable_retro") is None:

    @pytest.fixture
    def match():
        pytest.skip('the extra "retro" is not installed')

    emulator = match
else:
    from tests.retro.helpers import emulator, match  # noqa: F401


def pytest_generate_tests(metafunc):
    """Tests that ask for a ``game`` run on ours, and on the user's own where it is found."""
    if "game" in metafunc.fixturenames:
        from tests.helpers.roms import games

        metafunc.parametrize("game", games(), ids=lambda name: name.partition("-")[0])
