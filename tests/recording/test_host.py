"""A nested display on a desktop: when its window loses the desktop's focus that is a gap."""

import os
import shutil
import subprocess

import pytest

from hakisa_envs.screen.display import _nested, window_name
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.host import HostWindow
from tests.screen.helpers import Screen, wait_until


@pytest.fixture
def nested(xserver):
    """The name of a nested display, as the env starts one."""
    old = os.environ.get("DISPLAY"), os.environ.pop("WAYLAND_DISPLAY", None)
    os.environ["DISPLAY"] = xserver
    reading, writing = os.pipe()
    try:
        argv = [*_nested((200, 150)), "-displayfd", str(writing), "-nolisten", "tcp"]
        server = subprocess.Popen(argv, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    finally:
        os.close(writing)
        os.environ.pop("DISPLAY")
        os.environ.update({n: v for n, v in zip(("DISPLAY", "WAYLAND_DISPLAY"), old, strict=True) if v is not None})
    with open(reading) as said:
        name = f":{said.readline().strip()}"
    yield name
    server.terminate()
    server.wait(30)


@pytest.mark.skipif(shutil.which("Xephyr") is None, reason="needs Xephyr (scripts/system-packages.sh)")
def test_losing_the_desktops_focus_is_a_gap_and_the_title_says_that_it_records(nested, xserver):
    desktop = Screen(xserver)
    watch = HostWindow(window_name(), xserver, "● recording")
    children = desktop.root.query_tree().children
    (window,) = (child for child in children if (child.get_wm_class() or ("",))[0] == window_name())
    assert window.get_wm_name() == "? recording"
    shown = window.get_full_property(desktop.display.intern_atom("_NET_WM_NAME"), 0).value
    assert shown.decode() == "● recording"
    mail = desktop.window(300, 200, 50, 50, title="mail")
    heard = []

    def kinds():
        heard.extend((event.kind, event.name) for event in watch.take())
        return heard

    desktop.focus(window)
    desktop.focus(mail)
    wait_until(lambda: kinds()[-1:] == [("gap", "host")], 30)
    desktop.focus(window)
    wait_until(lambda: kinds()[-1:] == [("on", "host")], 30)
    watch.close()
    mail.destroy()
    desktop.close()


def test_without_such_a_window_it_says_so(xserver):
    with pytest.raises(InputError, match="no window 'hakisa-0'"):
        HostWindow("hakisa-0", xserver, "x")
