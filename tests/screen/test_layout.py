"""Which keys may be pressed on a real keyboard layout, whatever they are called."""

import pytest
from Xlib import XK

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.input.devices import XTestDevice
from hakisa_envs.screen.input.keys import denied_together
from hakisa_envs.screen.processes import Keeper

from .helpers import Screen


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("A", "'a'"),
        ("exclam", "'1'"),
        ("Cyrillic_a", "no key|not on"),
        ("hiragana_A", "no key"),
        ("F12", "chord"),
        ("L2", "chord"),
    ],
)
def test_keys_that_cannot_be_pressed_are_refused_at_the_start(xserver, name, match):
    client = InputClient(xserver, [name])
    client.start()
    with pytest.raises(InputError, match=match):
        client.wait_ready()
    client.close()


@pytest.fixture
def remapped():
    """A display whose keys are not where their names say."""
    keeper = Keeper()
    screen = Screen(open_display("xvfb", (640, 480), keeper).name)
    yield screen
    screen.close()
    keeper.close()


@pytest.mark.parametrize("level", [1, 2])
def test_key_that_is_f12_on_a_level_of_this_layout_is_refused(remapped, level):
    keysyms = [XK.XK_F9] * level + [XK.XK_F12]
    remapped.display.change_keyboard_mapping(remapped.keycode(XK.XK_F9), [keysyms])
    remapped.display.sync()
    client = InputClient(remapped.display.get_display_name(), ["F9"])
    client.start()
    with pytest.raises(InputError, match=r"'F9' must not be pressed on this layout.*chord"):
        client.wait_ready()
    client.close()


@pytest.mark.parametrize("names", [("Alt_R", "F4"), ("Alt_L", "Control_R", "L1"), ("Alt_R", "space")])
def test_keys_are_denied_together_by_what_they_are(remapped, names):
    device = XTestDevice(remapped.display.get_display_name(), list(names))
    assert denied_together(device.contacts.values())
    assert not denied_together(list(device.contacts.values())[1:])
    device.close()
