"""A real X server for the tests that press; the others need none."""

from tests.screen.conftest import desktop, on_desktop, own_desktop, pytest_pycollect_makemodule, screen, where, xserver

__all__ = ["desktop", "on_desktop", "own_desktop", "pytest_pycollect_makemodule", "screen", "where", "xserver"]
