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
