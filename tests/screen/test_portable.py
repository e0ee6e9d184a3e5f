"""What the portable back end says where something is missing."""

import sys

import pytest

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.screen.backends.portable import backend as portable
from hakisa_envs.screen.backends.portable.programs import PortablePrograms
from hakisa_envs.screen.errors import DisplayError


def test_missing_permissions_stop_it_before_anything_is_opened(monkeypatch):
    made = portable.PortableBackend()
    made._system = type("System", (), {
        "prepare": lambda self: None,
        "missing_permissions": lambda self, press: ["Settings > Accessibility"] if press else ["Settings > Screen"],
    })()  # fmt: skip
    with pytest.raises(DisplayError, match=r"Allow it.*under Settings > Screen; then start it again"):
        made.open_display("current", (0, 0), PortablePrograms(), log=None)
    with pytest.raises(DisplayError, match="Settings > Accessibility"):
        made.input(None, [], dry=False, timeout=1.0, programs=PortablePrograms())


def test_desktop_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DisplayError, match="DISPLAY, which is not set"):
        portable.PortableBackend().open_display("current", (0, 0), PortablePrograms(), log=None)


def test_library_that_is_missing_comes_with_the_line_that_installs_it(desktop, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynput.keyboard", None)
    made = portable.PortableBackend()
    with pytest.raises(MissingExtraError, match=r'pip install "hakisa\[portable\]"'):
        made.listener(made.open_display("current", (0, 0), PortablePrograms(), log=None), ["Left"], 1)
