"""A real X server for the tests that press; the others need none."""

from tests.screen.conftest import pytest_pycollect_makemodule, screen, xserver

__all__ = ["pytest_pycollect_makemodule", "screen", "xserver"]
