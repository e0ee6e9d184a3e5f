"""A real X server for every test module, and a second client on it that outlives whatever is killed."""

import contextlib
import importlib.util
import shutil

import pytest

from tests.helpers.backends import BACKENDS, on

MISSING = [
    *(f"{name} (extra screen)" for name in ("Xlib", "mss", "cv2") if importlib.util.find_spec(name) is None),
    *(f"{name} (scripts/system-packages.sh)" for name in ("Xvfb",) if shutil.which(name) is None),
]


class Skipped(pytest.Module):
    """A module that cannot be imported or run here."""

    def collect(self):
        """Not in conftest.py itself: a skip there passes by tests/conftest.py."""
        pytest.skip(f"needs {', '.join(MISSING)}", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return Skipped.from_parent(parent, path=module_path) if MISSING else None


@contextlib.contextmanager
def own_server():
    from hakisa_envs.screen.display import open_display
    from hakisa_envs.screen.processes import Keeper

    keeper = Keeper()
    try:
        yield open_display("xvfb", (640, 480), keeper).name
    finally:
        keeper.close()


@pytest.fixture(scope="module")
def xserver():
    with own_server() as name:
        yield name


@pytest.fixture(scope="module")
def desktop(xserver):
    """The same as the desktop of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", xserver)
        yield xserver


@pytest.fixture(scope="module")
def own_desktop():
    """The desktop of whoever runs the tests, on which nothing else is."""
    with own_server() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", name)
        yield name


@pytest.fixture(scope="module", params=BACKENDS)
def where(request):
    """Options of an env, for one back end after the other; see tests/helpers/backends.py."""
    if request.param == "portable":
        request.getfixturevalue("own_desktop")
    return on(request.param)


@pytest.fixture
def on_desktop(where, xserver, monkeypatch):
    """The same where both play on xserver as somebody's desktop, armed; "screen" looks on."""
    monkeypatch.setenv("DISPLAY", xserver)
    return where | {"display": "current", "armed": True}


@pytest.fixture
def screen(xserver):
    from .helpers import Screen

    second = Screen(xserver)
    yield second
    second.close()
