"""What the portable back end asks of macOS, against a macOS that is made up."""

import contextlib
from types import SimpleNamespace

import pytest
from mss import darwin

from hakisa_envs.screen.backends.portable.macos import system as macos
from hakisa_envs.screen.backends.portable.macos.desktop import MacDesktop
from hakisa_envs.screen.backends.portable.macos.keys import MacKeys
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input.keys import TYPED, denied_together
from hakisa_envs.screen.region import Region

BAR = 28


def window(number, name, pid, x, y, width, height, layer=0, shown=True, alpha=1.0):
    bounds = {"X": x, "Y": y, "Width": width, "Height": height}
    return {
        "kCGWindowNumber": number, "kCGWindowName": name, "kCGWindowOwnerPID": pid, "kCGWindowBounds": bounds,
        "kCGWindowLayer": layer, "kCGWindowIsOnscreen": shown, "kCGWindowAlpha": alpha,
    }  # fmt: skip


class Quartz:
    """Windows, the frontmost first, two monitors, a pointer, keys, and permissions."""

    def __init__(self, *windows, pointer=(0.0, 0.0), allows=True):
        self.stack, self.pointer, self.allows = list(windows), pointer, allows
        self.down, self.buttons, self.events = set(), set(), []

    def CGWindowListCopyWindowInfo(self, options, relative):
        if options & 8:
            return [info for info in self.stack if info["kCGWindowNumber"] == relative]
        shown = [info for info in self.stack if info["kCGWindowIsOnscreen"]]
        if options & 2:
            return shown[: [info["kCGWindowNumber"] for info in shown].index(relative)]
        return shown

    def CGGetActiveDisplayList(self, most, *nothing):
        return 0, (1, 2), 2

    def CGDisplayBounds(self, display):
        return ((0.0, 0.0), (1440.0, 900.0)) if display == 1 else ((-1280.0, 100.0), (1280.0, 720.0))

    def CGEventCreate(self, source):
        return "event"

    def CGEventGetLocation(self, event):
        return self.pointer

    def CGEventSourceKeyState(self, state, code):
        return code in self.down

    def CGEventSourceButtonState(self, state, button):
        return button in self.buttons

    def CGEventCreateMouseEvent(self, source, kind, place, button):
        return {"kind": kind, "place": place}

    def CGEventSetIntegerValueField(self, event, field, value):
        event[field] = value

    def CGEventPost(self, tap, event):
        self.events.append(event)

    def CGPreflightScreenCaptureAccess(self):
        return self.allows

    def CGPreflightListenEventAccess(self):
        return self.allows


class Services:
    """The accessibility API; ``focused`` is the process that gets the keys, None where the API is not allowed."""

    def __init__(self, focused=None, titles=()):
        self.focused, self.titles, self.calls = focused, titles, []

    def AXIsProcessTrusted(self):
        return self.focused is not None

    def AXUIElementCreateSystemWide(self):
        return "all"

    def AXUIElementCreateApplication(self, pid):
        return ("application", pid)

    def AXUIElementCopyAttributeValue(self, element, attribute, nothing):
        if attribute == "AXFocusedApplication":
            return (0, "focused") if self.focused is not None else (-25211, None)
        return (0, self.titles) if attribute == "AXWindows" else (0, element)

    def AXUIElementGetPid(self, element, nothing):
        return 0, self.focused

    def AXUIElementSetAttributeValue(self, element, attribute, value):
        self.calls.append((element, attribute, value))

    def AXUIElementPerformAction(self, element, action):
        self.calls.append((element, action))

    def AXValueCreate(self, kind, value):
        return (kind, value)


class AppKit:
    def __init__(self):
        self.activated = []
        titled = lambda rectangle, style: ((0, 0), (100, 100 + BAR))  # noqa: E731
        self.NSWindow = SimpleNamespace(frameRectForContentRect_styleMask_=titled)
        application = lambda pid: SimpleNamespace(  # noqa: E731
            activateWithOptions_=lambda options: self.activated.append((pid, options))
        )
        self.NSRunningApplication = SimpleNamespace(runningApplicationWithProcessIdentifier_=application)


def desktop(*windows, focused=7, titles=("game",), **more):
    quartz, services, appkit = Quartz(*windows, **more), Services(focused, titles), AppKit()
    return MacDesktop(quartz, appkit, services), quartz, services, appkit


GAME = window(5, "game", 7, 100, 100, 640, 480 + BAR)
CLIENT = Region(100, 128, 640, 480)


def test_client_area_is_below_the_title_bar_unless_the_window_fills_a_monitor():
    made, *_ = desktop(GAME, window(6, "full", 7, -1280, 100, 1280, 720), window(7, None, 9, 0, 0, 10, 100))
    assert [(w.number, w.title, w.pid, w.region) for w in made.windows()] == [
        (5, "game", 7, CLIENT), (6, "full", 7, Region(-1280, 100, 1280, 720)),
    ]  # fmt: skip


def test_pictures_of_a_retina_screen_are_grabbed_in_points_as_windows_are_told_of():
    assert darwin.IMAGE_OPTIONS & 1 << 4  # kCGWindowImageNominalResolution


def test_monitors_left_of_the_main_one_have_negative_places():
    made, *_ = desktop()
    assert made.screen() == Region(-1280, 0, 2720, 900)


def test_what_covers_a_window_is_another_programs_normal_window_above_it():
    made, *_ = desktop(
        window(1, "menu bar", 1, 0, 0, 1440, 24, layer=24),
        window(2, "unseen", 9, 0, 0, 1440, 900, alpha=0),
        window(3, "its own", 7, 150, 150, 50, 50),
        window(4, "mail", 9, 700, 500, 100, 100),
        GAME,
        window(6, "below", 9, 0, 0, 1440, 900),
    )
    sight = made.look(5)
    assert (sight.region, sight.shown, sight.above) == (CLIENT, True, (Region(700, 500, 100, 100),))
    assert made.look(99) is None


def test_minimised_window_is_not_shown():
    made, *_ = desktop({**GAME, "kCGWindowIsOnscreen": False})
    assert not made.look(5).shown


@pytest.mark.parametrize(
    ("focused", "first", "has"),
    [(7, "game", True), (9, "game", False), (7, "dialog", False), (None, "game", True), (None, "mail", False)],
)
def test_keys_go_to_the_front_window_of_the_program_that_has_them(focused, first, has):
    others = {
        "game": [GAME, window(6, "dialog", 7, 0, 0, 9, 99), window(8, "mail", 9, 0, 0, 9, 99)],
        "dialog": [window(6, "dialog", 7, 0, 0, 9, 99), GAME],
        "mail": [window(8, "mail", 9, 0, 0, 9, 99), GAME],
    }
    made, *_ = desktop(window(1, "menu bar", 1, 0, 0, 1440, 24, layer=24), *others[first], focused=focused)
    assert made.has_focus(5) is has


def test_clicks_go_to_the_window_under_the_pointer():
    popup = window(9, "", 1, 300, 300, 10, 100, layer=101)
    made, quartz, *_ = desktop(popup, GAME, pointer=(150.5, 200.0))
    assert made.is_under_pointer(5)
    quartz.pointer = (305.0, 320.0)
    assert not made.is_under_pointer(5)


def test_window_is_shown_placed_and_raised_by_the_accessibility_api():
    made, _, services, appkit = desktop(GAME)
    made.show(5, Region(0, 28, 640, 480))
    made.activate(5)
    assert services.calls == [
        ("game", "AXMinimized", False), ("game", "AXPosition", (1, (0, 0))), ("game", "AXSize", (2, (640, 508))),
        ("game", "AXRaise"),
    ]  # fmt: skip
    assert appkit.activated == [(7, 2)]


def keys(quartz=None):
    return MacKeys(quartz or Quartz(), {"a": 0x00, "z": 0x10, "1": 0x12, "ö": 0x29})


def test_keys_are_where_they_are_on_the_layout_and_zero_is_one():
    found = keys().contacts(["a", "z", "Left", "Shift_R", "odiaeresis", TYPED + "A"])
    assert [contact.code for contact in found.values()][:5] == [0x00, 0x10, 0x7B, 0x3C, 0x29]
    assert (found[TYPED + "A"].code, found[TYPED + "A"].modifiers) == (0x00, ("Shift_L",))
    assert keys().heard([found["a"]]) == {0: "a"}


def test_of_several_keys_that_make_a_character_the_one_off_the_number_pad_is_taken():
    layout = {0x12: "1", 0x53: "1", 0x43: "*", 0x2F: ".", 0x41: ".", 0x0A: "<", 0x32: "<"}
    darwin = SimpleNamespace(
        keycode_context=contextlib.nullcontext, keycode_to_string=lambda context, code: layout.get(code, "")
    )
    found = macos.characters_of(darwin)
    assert (found["1"], found["."], found["<"]) == (0x12, 0x2F, 0x0A)
    assert "*" not in found


@pytest.mark.parametrize(
    ("name", "match"),
    [("Super_L", "must not be pressed"), ("Meta_L", "must not be pressed"), ("F11", "must not be pressed here"),
     ("F12", "kill chord"), ("eacute", "not on the keyboard layout")],
)  # fmt: skip
def test_command_and_keys_of_the_desktop_are_never_pressed(name, match):
    with pytest.raises(InputError, match=match):
        keys().contacts([name])


@pytest.mark.parametrize(
    ("names", "denied"),
    [
        (["Control_L", "Left"], True),  # spaces
        (["Control_L", "Up"], True),  # Mission Control
        (["Control_L", "F2"], True),
        (["Control_L", "Alt_L", "Left"], True),
        (["Control_L", "ISO_Level3_Shift", "a"], True),
        (["Control_L", "a"], False),
        (["Shift_L", "Left"], False),
        (["Alt_L", "Left"], False),
    ],
)
def test_chords_of_the_desktop_are_denied(names, denied):
    assert denied_together(keys().contacts(names).values()) is denied


def test_motion_says_by_how_much_and_drags_while_a_button_is_down():
    quartz = Quartz(pointer=(10.0, 20.0))
    keys(quartz).move_by(-3, 4)
    quartz.buttons = {0}
    keys(quartz).move_by(1, 0)
    assert quartz.events == [
        {"kind": 5, "place": (7.0, 24.0), 4: -3, 5: 4}, {"kind": 6, "place": (11.0, 20.0), 4: 1, 5: 0},
    ]  # fmt: skip


def test_what_is_down_is_asked_of_the_system():
    quartz = Quartz()
    quartz.down, quartz.buttons = {0x7B}, {1}
    found = keys(quartz).contacts(["Left", "Right", "button1", "button3"])
    assert [name for name, contact in found.items() if keys(quartz).is_down(contact)] == ["Left", "button3"]


@pytest.mark.parametrize(
    ("press", "listen", "menus"),
    [
        (False, False, ["Screen"]),
        (False, True, ["Screen", "Input"]),
        (True, False, ["Screen", "Accessibility", "Input"]),
    ],
)
def test_missing_permissions_are_named_by_their_menu(monkeypatch, press, listen, menus):
    frameworks = {"Quartz": Quartz(allows=False), "ApplicationServices": Services()}
    monkeypatch.setattr(macos, "framework", frameworks.get)
    missing = macos.MacSystem().missing_permissions(press, listen)
    assert all(line.startswith("System Settings > Privacy & Security > ") for line in missing)
    assert [line.rpartition("> ")[2].split()[0] for line in missing] == menus


def test_nothing_is_missing_where_all_is_allowed(monkeypatch):
    frameworks = {"Quartz": Quartz(), "ApplicationServices": Services(focused=7)}
    monkeypatch.setattr(macos, "framework", frameworks.get)
    assert macos.MacSystem().missing_permissions(press=True) == []
