"""Which keys may be pressed on a real keyboard layout, whatever they are called."""

import ctypes
import ctypes.util
import os
import shutil
import signal
import subprocess
import time

import pytest
from Xlib import XK, X
from Xlib.display import Display

from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.client import InputClient
from hakisa_envs.screen.input.devices import XTestDevice
from hakisa_envs.screen.input.keys import LAYOUT_CHANGED, LEVELS, TYPED, denied_together, keysym, resolve
from hakisa_envs.screen.input.presses import GAP_NS
from hakisa_envs.screen.processes import Keeper

from .helpers import Screen, step_until_held, wait_until


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("A", "'a'"),
        ("exclam", "'1'"),
        ("Cyrillic_a", "no key|not on"),
        ("hiragana_A", "no key"),
        ("Greek_alpha", "not on"),
        ("EuroSign", "not on"),
        ("leftarrow", "not on.*'Left'"),
        ("rightt", "not on.*'Right'"),  # which X has, as a sign for drawing
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


@pytest.mark.parametrize("name", ["ISO_Level3_Shift", "KP_Enter", "Multi_key", "Caps_Lock"])
def test_keys_of_every_group_of_names_are_found_where_the_layout_has_them(remapped, name):
    remapped.display.change_keyboard_mapping(remapped.keycode(XK.XK_F9), [[keysym(name)] * 2])
    remapped.display.sync()
    device = XTestDevice(remapped.display.get_display_name(), [name])
    assert device.contacts[name].code
    device.close()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Greek_alpha", 0x7E1),
        ("Cyrillic_a", 0x6C1),
        ("ISO_Left_Tab", 0xFE20),
        ("dead_acute", 0xFE51),
        ("EuroSign", 0x20AC),
        ("U03B1", 0x10003B1),
        ("hebrew_aleph", 0xCE0),
    ],
)
def test_names_of_keys_are_those_of_x(name, number):
    assert keysym(name) == number


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("enter", "Return"), ("Enter", "Return"), ("ArrowLeft", "Left"), ("left_arrow", "Left"), ("up arrow", "Up"),
        ("Esc", "Escape"), ("Key.space", "space"), ("K_RETURN", "Return"), ("KeyA", "a"), ("Digit7", "7"),
        ("ctrl", "Control_L"), ("PgUp", "Page_Up"), ("spacebar", "space"), ("Backspace", "BackSpace"),
        ("numpad5", "KP_5"), ("AltGr", "ISO_Level3_Shift"), ("Greek_alfa", "Greek_alpha"), ("\u00e9", "eacute"),
        ("\u03b1", "Greek_alpha"), ("!", "exclam"), ("\u20ac", "EuroSign"), ("\u2190", "Left"), ("\r", "Return"),
        ("AltRight", "Alt_R"), ("ctrlleft", "Control_L"), ("Key.ctrl_r", "Control_R"), ("KEY_RIGHTALT", "Alt_R"),
        ("Left Ctrl", "Control_L"), ("rightcontrol", "Control_R"), ("option", "Alt_L"), ("cursor_left", "Left"),
        ("Keypad 5", "KP_5"), ("num0", "KP_0"), ("numpad*", "KP_Multiply"), ("keypad+", "KP_Add"),
        ("KEY_KPDOT", "KP_Decimal"), ("K_LEFTPAREN", "parenleft"), ("K_CARET", "asciicircum"), ("bs", "BackSpace"),
        ("newline", "Return"), ("bang", "exclam"), ("EuroSgn", "EuroSign"), ("Page-Up", "Page_Up"),
    ],
)  # fmt: skip
def test_suggestion_is_the_key_that_was_meant(given, meant):
    with pytest.raises(InputError, match=f"did you mean '{meant}'"):
        keysym(given)


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("cmd", "Super_L"), ("MetaRight", "Super_R"), ("winleft", "Super_L"), ("PrintScreen", "Print"),
        ("prtsc", "Print"), ("KEY_SYSRQ", "Sys_Req"), ("ContextMenu", "Menu"), ("apps", "Menu"), ("f12", "F12"),
    ],
)  # fmt: skip
def test_key_that_must_not_be_pressed_is_no_suggestion(given, called):
    with pytest.raises(InputError, match=f"'{given}', which X calls '{called}', must not be pressed"):
        keysym(given)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("mouse1", "no keys.*left_click"),
        ("wheelup", "no keys"),
        ("Shift_L+a", "only a script's press"),
        ("", "'plus'"),
        ("xf86audiomute", "must not be pressed"),
        ("Again", "names are those of X"),  # and not the name of a letter that is a little like it
        ("Fn", "names are those of X"),
    ],
)
def test_what_is_no_key_says_what_it_is(given, match):
    with pytest.raises(InputError, match=match):
        keysym(given)


@pytest.fixture
def player(remapped):
    """A client on that display, with a window that has the focus."""
    window = remapped.window(0, 0, 200, 150, title="game")
    remapped.focus(window)
    client = InputClient(remapped.display.get_display_name(), ["a", "Left", TYPED + "B"], timeout=10.0)
    client.start()
    client.wait_ready()
    client.set_target(window.id)
    yield client
    client.close()


def remap(screen, codes):
    """Give keys, by keycode, the keysyms of two levels."""
    for code, levels in codes.items():
        screen.display.change_keyboard_mapping(code, [levels])
    screen.display.sync()


def test_layout_that_changes_lets_go_and_presses_the_right_key_afterwards(remapped, player):
    a, b = remapped.keycode(XK.XK_a), remapped.keycode(XK.XK_b)
    player.act([("hold", "a"), ("hold", "Left")], 10.0)
    assert a in remapped.held()
    remap(remapped, {a: [XK.XK_b, XK.XK_B], b: [XK.XK_a, XK.XK_A]})
    wait_until(lambda: not remapped.held(), 1.0)
    assert LAYOUT_CHANGED in player.report().released
    assert player.act([("hold", "a")], 10.0).pressed == 1
    assert remapped.held() == {b}
    player.release_all()
    assert player.act([("hold", TYPED + "B")], 10.0).pressed == 1
    assert remapped.held() == {a, remapped.keycode(XK.XK_Shift_L)}  # or it would be a "b"
    assert player.act([("release", TYPED + "B")], 10.0).held in ((), (TYPED + "B", "Shift_L"))
    wait_until(lambda: not remapped.held(), 1.0)


def test_layout_that_changes_just_before_a_press_is_no_press_of_another_key(remapped, player):
    a, b = remapped.keycode(XK.XK_a), remapped.keycode(XK.XK_b)
    remapped.events()
    for swapped in (True, False) * 5:
        first, second = (b, a) if swapped else (a, b)
        remap(remapped, {first: [XK.XK_a, XK.XK_A], second: [XK.XK_b, XK.XK_B]})
        report = player.act([("tap", "a")], 1.0)
        pressed = [event.detail for event in remapped.events() if event.type == X.KeyPress]
        assert LAYOUT_CHANGED in report.released
        assert pressed in ([], [first])
        wait_until(lambda: not player.report().held)
        time.sleep(2 * GAP_NS / 1e9)  # or the next tap would wait for its turn, and be seen too late


@pytest.mark.parametrize("restored", [False, True])
def test_layout_that_changes_key_by_key_is_waited_for(remapped, player, restored):
    a, b = remapped.keycode(XK.XK_a), remapped.keycode(XK.XK_b)
    player.act([("hold", "a")], 10.0)
    remap(remapped, {a: [XK.XK_b, XK.XK_B]})  # there is no "a" now
    wait_until(lambda: not remapped.held(), 1.0)
    remap(remapped, {a: [XK.XK_a, XK.XK_A]} if restored else {b: [XK.XK_a, XK.XK_A]})
    report = player.act([("hold", "a")], 10.0)
    assert report.released == ((LAYOUT_CHANGED,) if restored else (LAYOUT_CHANGED,) * 2)
    wait_until(lambda: player.act([("hold", "a")], 10.0).held)
    assert remapped.held() == {a if restored else b}
    assert player.restarts == 0


def test_guardian_lets_go_of_a_key_that_has_moved_just_before(remapped, player):
    a, b = remapped.keycode(XK.XK_a), remapped.keycode(XK.XK_b)
    for first, second in ((b, a), (a, b)) * 3:
        remap(remapped, {first: [XK.XK_a, XK.XK_A], second: [XK.XK_b, XK.XK_B]})
        wait_until(lambda: player.act([("hold", "a")], 10.0).held)
        assert remapped.held()
        os.kill(player.pid, signal.SIGKILL)
        wait_until(lambda: not remapped.held(), 1.0)


def test_remapping_of_other_keys_is_no_change(remapped, player):
    player.act([("hold", "a")], 10.0)
    remap(remapped, {remapped.keycode(XK.XK_F5): [XK.XK_eacute, XK.XK_Eacute]})
    report = player.act([], 10.0)
    assert (report.held, report.released) == (("a",), ())


def test_layout_that_loses_a_key_lets_go_and_names_it(remapped, player):
    player.act([("hold", "a")], 10.0)
    remap(remapped, {remapped.keycode(XK.XK_a): [XK.XK_b, XK.XK_B]})
    wait_until(lambda: not remapped.held(), 1.0)
    with pytest.raises(InputError, match="'a' is not on the keyboard layout"):
        player.report()


class Groups:
    """Switches between the layouts of a keyboard that has several, as a person's key for that does."""

    def __init__(self, display):
        self.library = ctypes.CDLL("libX11.so.6")
        self.library.XOpenDisplay.restype = ctypes.c_void_p
        self.connection = ctypes.c_void_p(self.library.XOpenDisplay(display.encode()))

    def lock(self, group):
        assert self.library.XkbLockGroup(self.connection, 0x100, group)  # the core keyboard
        self.library.XSync(self.connection, 0)

    def close(self):
        self.library.XCloseDisplay(self.connection)


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
def test_key_is_not_pressed_while_another_of_several_layouts_is_on(remapped, player):
    name = remapped.display.get_display_name()
    subprocess.run(["setxkbmap", "-display", name, "us,gr"], check=True)
    groups = Groups(name)
    wait_until(lambda: not player.report().released)
    assert player.act([("hold", "a")], 10.0).pressed == 1
    player.release_all()
    groups.lock(1)
    for _ in range(2):
        report = player.act([("hold", "a")], 10.0)
        assert (report.pressed, report.refused, report.released) == (0, 1, (LAYOUT_CHANGED,))
        assert not remapped.held()
    groups.lock(0)
    assert player.act([("hold", "a")], 10.0).pressed == 1
    groups.close()


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
def test_typed_character_takes_the_modifiers_that_the_present_layout_wants(remapped):
    name = remapped.display.get_display_name()
    remapped.focus(remapped.window(0, 0, 200, 150, title="game"))
    client = InputClient(name, [TYPED + "@", TYPED + "a"], timeout=10.0)
    client.start()
    client.wait_ready()
    client.set_target(remapped.root.query_tree().children[-1].id)
    for layout, modifiers in (("us", ["Shift_L"]), ("de", ["ISO_Level3_Shift"]), ("us", ["Shift_L"])):
        subprocess.run(["setxkbmap", "-display", name, layout], check=True)
        wait_until(lambda: client.act([("hold", TYPED + "@")], 10.0).held)  # once it has heard of the layout
        wait_until(lambda m=modifiers: set(client.act([("hold", TYPED + "@")], 10.0).held) == {*m, TYPED + "@"}, 2.0)
        for event in remapped.events():
            if event.type == X.MappingNotify:
                remapped.display.refresh_keyboard_mapping(event)
        assert {remapped.keycode(keysym(key)) for key in modifiers} < remapped.held()
        client.release_all()
    assert client.restarts == 0
    client.close()


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("us", "aZ~"),
        ("de", "\u00fc\u00c4@\u20ac\u2192"),
        ("cz", "\u010d\u0159\u011b\u016f"),
        ("pl", "\u0142\u017c\u0104"),
        ("hu", "\u0151\u0170\u02dd"),
        ("tr", "\u011f\u0130\u015f"),
        ("ru", "\u0439\u044a\u0401\u2116"),
        ("ua", "\u0457\u0404\u0456"),
        ("rs", "\u0452\u0459\u0408"),
        ("gr", "\u03c2\u03c3\u03a9"),
        ("il", "\u05d0\u05e9"),
        ("ara", "\u0634\u061f"),
        ("th", "\u0e01\u0e3f"),
        ("ge", "\u10d0"),
    ],
)
def test_characters_of_every_script_are_typed_where_a_layout_has_them(remapped, layout, text):
    library = ctypes.util.find_library("xkbcommon")
    if library is None:
        pytest.skip("needs libxkbcommon, to judge")
    to_unicode = ctypes.CDLL(library).xkb_keysym_to_utf32
    name = remapped.display.get_display_name()
    subprocess.run(["setxkbmap", "-display", name, layout], check=True)
    display = Display(name)
    contacts = resolve(display, [TYPED + character for character in text])
    columns = {modifiers: column for column, modifiers in LEVELS.items()}
    pressed = [contacts[TYPED + character] for character in text]
    made = [display.keycode_to_keysym(contact.code, columns[contact.modifiers]) for contact in pressed]
    display.close()
    assert "".join(chr(to_unicode(value)) for value in made) == text


@pytest.mark.skipif(shutil.which("setxkbmap") is None, reason="needs setxkbmap (scripts/system-packages.sh)")
@pytest.mark.parametrize(("layout", "name"), [("gr", "Greek_alpha"), ("ru", "Cyrillic_ef"), ("de", "ISO_Level3_Shift")])
def test_keys_of_other_layouts_are_pressed_by_their_names(remapped, layout, name):
    display = remapped.display.get_display_name()
    subprocess.run(["setxkbmap", "-display", display, layout], check=True)
    window = remapped.window(0, 0, 200, 150, title="game")
    remapped.focus(window)
    client = InputClient(display, [name])
    client.start()
    client.wait_ready()
    client.set_target(window.id)
    assert client.act([("hold", name)], 10.0).pressed == 1
    for event in remapped.events():
        if event.type == X.MappingNotify:
            remapped.display.refresh_keyboard_mapping(event)
        elif event.type == X.KeyPress:
            assert remapped.display.keycode_to_keysym(event.detail, 0) == keysym(name)
    assert remapped.held()
    client.close()


def test_kill_chord_is_heard_where_the_new_layout_has_it(remapped, player):
    remap(remapped, {remapped.keycode(XK.XK_F9): [XK.XK_F12] * 2, remapped.keycode(XK.XK_F12): [XK.XK_F9] * 2})
    for name in (XK.XK_Control_L, XK.XK_Shift_L, XK.XK_F12):
        remapped.display.keysym_to_keycode(name)
    codes = [remapped.keycode(XK.XK_Control_L), remapped.keycode(XK.XK_Shift_L)]
    for event in remapped.events():
        if event.type == X.MappingNotify:
            remapped.display.refresh_keyboard_mapping(event)
    for code in (*codes, remapped.keycode(XK.XK_F12)):
        remapped.display.xtest_fake_input(X.KeyPress, code)
    remapped.display.sync()
    wait_until(lambda: player.report().killed, 1.0)


def test_step_in_which_the_layout_changes_is_no_transition():
    env = ScreenGameEnv("flash")
    env.reset()
    person = Screen(env.session.display.name)
    env.step([2, 1, 0])
    left, right = person.keycode(XK.XK_Left), person.keycode(XK.XK_Right)
    remap(person, {left: [XK.XK_Right] * 2, right: [XK.XK_Left] * 2})
    info = wait_until(lambda: LAYOUT_CHANGED in (i := env.step([0, 0, 0])[4])["released"] and i)
    assert not info["transition"]
    step_until_held(env, [2, 1, 0], person, code=right)
    person.close()
    env.close()
