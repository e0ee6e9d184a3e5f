"""The system that this is, asked for what needs no permission: its libraries are there and answer."""

import sys

from hakisa_envs.screen.backends.portable.system import this_system


def test_system_is_known_and_says_that_nobody_has_tried_it():
    system = this_system()
    system.prepare()
    assert system.untested == {"win32": "Windows", "darwin": "macOS"}[sys.platform]
    assert isinstance(system.missing_permissions(press=True), list)


def test_desktop_tells_of_its_screen_and_windows():
    system = this_system()
    system.prepare()
    desktop = system.desktop()
    assert desktop.screen().width > 0
    for window in desktop.windows():
        assert window.title
        desktop.look(window.number)
        desktop.has_focus(window.number)
        desktop.is_under_pointer(window.number)
    assert desktop.look(0) is None
    desktop.close()


def test_keys_are_on_the_layout_and_up():
    keys = this_system().keys()
    found = keys.contacts(["Left", "space", "a", "1", "Control_L", "button1"])
    assert len({contact.code for contact in found.values() if contact.kind == "key"}) == 5
    assert not any(keys.is_down(contact) for contact in found.values())
    for contact in found.values():
        if contact.kind == "key":
            assert keys.key(contact).vk == contact.code
    assert set(keys.heard(found.values()).values()) == {"Left", "space", "a", "1", "Control_L"}
    keys.close()
