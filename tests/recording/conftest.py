"""A real X server for the tests that press; the others need none."""

from tests.screen.conftest import desktop, pytest_pycollect_makemodule, screen, xserver

__all__ = ["desktop", "pytest_pycollect_makemodule", "screen", "xserver"]
