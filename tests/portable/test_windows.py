"""What the portable back end asks of Windows, against a Windows that is made up."""

import ctypes
import subprocess
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from hakisa_envs.screen.backends.portable.windows import job as jobs
from hakisa_envs.screen.backends.portable.windows.desktop import WindowsDesktop
from hakisa_envs.screen.backends.portable.windows.job import JobProgram
from hakisa_envs.screen.backends.portable.windows.keys import EXTENDED, SCANCODE, WindowsKeys
from hakisa_envs.screen.backends.portable.windows.system import WindowsSystem, become_dpi_aware
from hakisa_envs.screen.errors import InputError, ProcessError
from hakisa_envs.screen.input.keys import TYPED, denied_together
from hakisa_envs.screen.region import Region

SCAN_CODES = {
    0x25: 0x4B,
    0xA3: 0xE01D,
    0xA2: 0x1D,
    0x41: 0x1E,
    0x20: 0x39,
    0x0D: 0x1C,
    0x77: 0,
    0x13: 0xE11D,
    0x90: 0x45,
}
# Of a German layout: what VkKeyScan answers, the modifiers in the high byte.
CHARACTERS = {"a": 0x41, "A": 0x141, "z": 0x5A, "ö": 0xC0, "@": 0x651, "!": 0x131, " ": 0x20, "^": 0xDC, "÷": 0xFFFF}


class Window(SimpleNamespace):
    """Of the made-up desktop; lists have the frontmost first."""

    def __init__(self, number, title="", pid=1, client=(0, 0, 0, 0), bar=30, **more):
        given = {"visible": True, "iconic": False, "zoomed": False, "cloaked": 0, "style": 0, **more}
        super().__init__(number=number, title=title, pid=pid, client=client, bar=bar, **given)


class User32:
    """The functions of user32 that are called, on windows that are made up."""

    def __init__(self, *windows, screen=(0, 0, 1920, 1080), pointer=(0, 0), lets_forward=True):
        self.stack = list(windows)
        self.metrics = dict(zip((76, 77, 78, 79), screen, strict=True))
        self.pointer, self.front, self.lets_forward = pointer, windows[0].number if windows else 0, lets_forward
        self.calls = []
        self.down = set()

    def _of(self, number):
        return next((window for window in self.stack if window.number == number), None)

    def GetTopWindow(self, parent):
        return self.stack[0].number if self.stack else None

    def GetWindow(self, number, direction):
        place = self.stack.index(self._of(number)) + (1 if direction == 2 else -1)
        return self.stack[place].number if 0 <= place < len(self.stack) else None

    def IsWindow(self, number):
        return self._of(number) is not None

    def IsWindowVisible(self, number):
        return self._of(number).visible

    def IsIconic(self, number):
        return self._of(number).iconic

    def IsZoomed(self, number):
        return self._of(number).zoomed

    def GetWindowLongW(self, number, index):
        return self._of(number).style if index == -20 else 0

    def GetWindowTextLengthW(self, number):
        return len(self._of(number).title)

    def GetWindowTextW(self, number, buffer, length):
        buffer.value = self._of(number).title

    def GetWindowThreadProcessId(self, number, pid):
        pid._obj.value = self._of(number).pid

    def GetClientRect(self, number, rectangle):
        window = self._of(number)
        rectangle._obj.right, rectangle._obj.bottom = window.client[2:]
        return True

    def ClientToScreen(self, number, point):
        window = self._of(number)
        point._obj.x, point._obj.y = point._obj.x + window.client[0], point._obj.y + window.client[1]
        return True

    def GetWindowRect(self, number, rectangle):
        left, top, width, height = self._of(number).client
        frame = rectangle._obj
        frame.left, frame.top, frame.right, frame.bottom = left, top - self._of(number).bar, left + width, top + height
        return True

    def GetForegroundWindow(self):
        return self.front

    def SetForegroundWindow(self, number):
        self.calls.append(("forward", number))
        if self.lets_forward or ("show", number, 9) in self.calls:
            self.front = number
            return True
        return False

    def ShowWindow(self, number, how):
        self.calls.append(("show", number, how))
        self._of(number).iconic = how == 6

    def GetCursorPos(self, point):
        point._obj.x, point._obj.y = self.pointer
        return True

    def WindowFromPoint(self, point):
        for window in self.stack:
            left, top, width, height = window.client
            if left <= point.x < left + width and top <= point.y < top + height:
                return window.number + 1000  # a control in it
        return None

    def GetAncestor(self, number, flags):
        return number - 1000

    def GetSystemMetrics(self, index):
        return self.metrics[index]

    def GetMenu(self, number):
        return None

    def GetDpiForWindow(self, number):
        return 144

    def AdjustWindowRectExForDpi(self, rectangle, style, menu, extended, dpi):
        frame = rectangle._obj
        frame.left, frame.top = frame.left - 8, frame.top - 30 * dpi // 96
        frame.right, frame.bottom = frame.right + 8, frame.bottom + 8

    def SetWindowPos(self, number, after, *place_and_flags):
        self.calls.append(("place", number, place_and_flags))

    def SendMessageTimeoutW(self, *arguments):
        self.calls.append(("message", arguments[5]))
        return self.lets_forward

    def VkKeyScanW(self, character):
        answer = CHARACTERS.get(character, 0xFFFF)
        return answer - 0x10000 if answer > 0x7FFF else answer  # a short

    def MapVirtualKeyW(self, code, kind):
        assert kind == 4
        return SCAN_CODES.get(code, 0x10)

    def GetAsyncKeyState(self, code):
        return -0x8000 if code in self.down else 0

    def mouse_event(self, *arguments):
        self.calls.append(("mouse", arguments))


class Dwmapi:
    def __init__(self, user32):
        self.user32 = user32

    def DwmGetWindowAttribute(self, number, attribute, value, size):
        assert attribute == 14
        value._obj.value = self.user32._of(number).cloaked


def desktop(*windows, **more):
    user32 = User32(*windows, **more)
    return WindowsDesktop(user32, Dwmapi(user32)), user32


GAME = (100, 130, 640, 480)


def test_windows_are_those_that_show_and_have_a_title_the_frontmost_first():
    made, _ = desktop(
        Window(1, "game", 7, GAME),
        Window(2, "", 8, GAME),
        Window(3, "minimised", 9, GAME, iconic=True),
        Window(4, "another desktop's", 9, GAME, cloaked=2),
        Window(5, "hidden", 9, GAME, visible=False),
        Window(6, "mail", 10, (-1920, 0, 800, 600)),
    )
    found = [(w.number, w.title, w.pid, w.region) for w in made.windows()]
    assert found == [(1, "game", 7, Region(*GAME)), (6, "mail", 10, Region(-1920, 0, 800, 600))]


def test_monitors_left_of_the_main_one_have_negative_places():
    made, _ = desktop(screen=(-1920, -200, 3840, 1280))
    assert made.screen() == Region(-1920, -200, 3840, 1280)


def test_what_covers_a_window_lies_above_it_is_seen_and_is_another_programs():
    made, _ = desktop(
        Window(1, "", 8, (0, 0, 1920, 1080), style=0x20),  # the mouse goes through it
        Window(2, "", 8, (0, 0, 1920, 1080), cloaked=1),
        Window(3, "a menu of its own", 7, (120, 150, 50, 50)),
        Window(4, "elsewhere", 9, (1500, 900, 50, 50)),
        Window(5, "over it", 9, (700, 500, 300, 300)),
        Window(6, "game", 7, GAME),
        Window(7, "below", 9, GAME),
    )
    sight = made.look(6)
    assert (sight.region, sight.shown, sight.above) == (Region(*GAME), True, (Region(700, 470, 300, 330),))


def test_minimised_window_is_not_shown_and_one_that_is_gone_is_none():
    made, _ = desktop(Window(6, "game", 7, (0, 0, 0, 0), iconic=True))
    assert not made.look(6).shown
    assert made.look(5) is None


def test_keys_go_to_the_window_in_front_and_clicks_to_the_one_under_the_pointer():
    made, user32 = desktop(Window(1, "mail", 8, (0, 0, 50, 50)), Window(2, "game", 7, GAME), pointer=(110, 140))
    assert not made.has_focus(2)
    assert made.is_under_pointer(2)
    user32.front, user32.pointer = 2, (10, 10)
    assert made.has_focus(2)
    assert not made.is_under_pointer(2)


def test_client_area_is_placed_by_the_frame_that_its_monitor_gives_it():
    made, user32 = desktop(Window(1, "game", 7, GAME, zoomed=True))
    made.show(1, Region(0, 0, 640, 480))
    assert user32.calls == [("show", 1, 9), ("place", 1, (-8, -45, 656, 533, 0x4 | 0x10))]


@pytest.mark.parametrize("lets", [True, False])
def test_window_comes_forward_though_windows_refuses_at_first(lets):
    made, user32 = desktop(Window(1, "mail", 8, GAME), Window(2, "game", 7, GAME), lets_forward=lets)
    made.activate(2)
    assert made.has_focus(2)
    assert (("show", 2, 6) in user32.calls) == (not lets)


def test_program_that_does_not_answer_a_message_hangs():
    made, user32 = desktop(Window(1, "game", 7, GAME), lets_forward=False)
    assert not made.answers(1, 2.0)
    assert user32.calls == [("message", 2000)]


def test_keys_are_virtual_keys_of_the_layout_with_their_scan_codes():
    keys = WindowsKeys(User32())
    found = keys.contacts(["Left", "Control_R", "a", "z", "odiaeresis", "space", "button3"])
    codes = {name: contact.code for name, contact in found.items()}
    assert codes == {
        "Left": 0x25, "Control_R": 0xA3, "a": 0x41, "z": 0x5A, "odiaeresis": 0xC0, "space": 0x20, "button3": 3,
    }  # fmt: skip
    assert keys.scan_code(0x25) == (0x4B, SCANCODE | EXTENDED)
    assert keys.scan_code(0xA2) == (0x1D, SCANCODE)
    assert keys.scan_code(0xA3) == (0x1D, SCANCODE | EXTENDED)
    assert keys.scan_code(0x90) == (0x45, SCANCODE | EXTENDED)  # Num_Lock; without the flag it is Pause
    assert keys.scan_code(0x13)[0] == 0  # Pause, which is no single code
    assert keys.scan_code(0x77)[0] == 0  # a key that this keyboard has not


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("exclam", "only together with Shift_L"),
        ("at", "only together with ISO_Level3_Shift"),
        ("division", "not on the keyboard layout"),
        ("Super_L", "must not be pressed"),
        ("Print", "must not be pressed"),
        ("F12", "kill chord"),
    ],
)
def test_what_cannot_be_pressed_says_why(name, match):
    with pytest.raises(InputError, match=match):
        WindowsKeys(User32()).contacts([name])


def test_typed_characters_bring_their_modifiers():
    found = WindowsKeys(User32()).contacts([TYPED + "A", TYPED + "@", TYPED + "\n"])
    assert found[TYPED + "A"].modifiers == ("Shift_L",)
    assert (found[TYPED + "@"].code, found[TYPED + "@"].modifiers) == (0x51, ("ISO_Level3_Shift",))
    assert found[TYPED + "\n"].code == 0x0D
    assert {"Shift_L", "ISO_Level3_Shift"} <= found.keys()


@pytest.mark.parametrize(
    ("names", "denied"),
    [
        (["Alt_L", "F4"], True),
        (["Alt_L", "Tab"], True),
        (["Control_L", "Alt_L", "Delete"], True),
        (["Control_L", "Escape"], True),  # the Start menu
        (["Control_L", "Shift_L", "Escape"], True),  # the task manager
        (["ISO_Level3_Shift", "F4"], True),  # AltGr is the right Alt
        (["ISO_Level3_Shift", "Tab"], True),
        (["Control_L", "ISO_Level3_Shift", "Delete"], True),
        (["ISO_Level3_Shift", "a"], False),
        (["Control_L", "a"], False),
        (["Shift_L", "Escape"], False),
    ],
)
def test_chords_of_the_desktop_are_denied(names, denied):
    assert denied_together(WindowsKeys(User32()).contacts(names).values()) is denied


def test_what_is_down_is_asked_of_the_system_and_motion_is_relative():
    user32 = User32()
    keys = WindowsKeys(user32)
    found = keys.contacts(["Left", "button1", "button3"])
    user32.down = {0x25, 0x02}
    assert [name for name, contact in found.items() if keys.is_down(contact)] == ["Left", "button3"]
    keys.move_by(-5, 3)
    assert user32.calls == [("mouse", (1, -5, 3, 0, 0))]
    assert keys.heard(found.values()) == {0x25: "Left"}


class Old:
    """A Windows that lacks a function."""

    def __init__(self, **functions):
        self.__dict__.update(functions)


@pytest.mark.parametrize(
    ("windll", "asked"),
    [
        (lambda log: Old(user32=Old(SetProcessDpiAwarenessContext=lambda c: log.append("context") or 1)), ["context"]),
        (
            lambda log: Old(
                user32=Old(SetProcessDpiAwarenessContext=lambda c: log.append("context") and 0),
                shcore=Old(SetProcessDpiAwareness=lambda n: log.append(n)),
            ),
            ["context", 2],
        ),
        (lambda log: Old(user32=Old(SetProcessDPIAware=lambda: log.append("8"))), ["8"]),
    ],
)
def test_physical_pixels_are_asked_for_as_well_as_this_windows_can(windll, asked):
    log = []
    become_dpi_aware(windll(log))
    assert log == asked


def test_physical_pixels_are_asked_for_before_anything_else_is(monkeypatch):
    asked = []
    windll = Old(user32=Old(SetProcessDpiAwarenessContext=lambda context: asked.append(context.value) or 1))
    monkeypatch.setattr(ctypes, "windll", windll, raising=False)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: asked.append(name) or MagicMock(), raising=False)
    WindowsSystem().desktop()
    per_monitor_v2 = ctypes.c_void_p(-4).value
    assert asked == [per_monitor_v2, "user32", "dwmapi"]


def test_windows_asks_for_no_permission_and_is_untested():
    assert WindowsSystem().missing_permissions(press=True) == []
    assert WindowsSystem.untested == "Windows"


class Kernel32:
    """Jobs and processes that are made up."""

    def __init__(self, refuses=""):
        self.calls, self.refuses, self.members, self.opened = [], refuses, [40, 41], 0

    def CreateJobObjectW(self, *nothing):
        return 0 if self.refuses == "job" else 77

    def SetInformationJobObject(self, job, kind, limits, size):
        self.calls.append(("limits", job, kind, limits._obj.BasicLimitInformation.LimitFlags))
        assert size == ctypes.sizeof(jobs.ExtendedLimits)
        return self.refuses != "limits"

    def AssignProcessToJobObject(self, job, handle):
        self.calls.append(("assign", job, handle))
        return self.refuses != "assign"

    def QueryInformationJobObject(self, job, kind, result, size, length):
        said = result._obj
        if kind == 1:
            said.ActiveProcesses = len(self.members)
        else:
            said.NumberOfProcessIdsInList = len(self.members)
            for place, pid in enumerate(self.members):
                said.ProcessIdList[place] = pid
        return 1

    def OpenProcess(self, access, inherit, pid):
        self.opened += pid < 100
        return pid + 1000 if pid < 100 else 0

    def IsProcessInJob(self, handle, job, result):
        result._obj.value = handle - 1000 in self.members
        return 1

    def TerminateJobObject(self, job, code):
        self.calls.append(("terminate", job))
        self.members = []
        return 1

    def CloseHandle(self, handle):
        self.calls.append(("close", handle))
        return 1


class Process:
    pid, _handle, code = 40, 500, None

    def __init__(self, argv, **options):
        self.argv, self.options = argv, options

    def poll(self):
        return self.code

    def wait(self, timeout):
        raise subprocess.TimeoutExpired(self.argv, timeout)

    def kill(self):
        self.code = 1


def program(refuses="", popen=Process, kernels=None):
    kernel32, resumed = Kernel32(refuses), []
    if kernels is not None:
        kernels.append(kernel32)
    ntdll = SimpleNamespace(
        NtResumeProcess=lambda handle: resumed.append(("resume", handle)),
        NtSuspendProcess=lambda handle: resumed.append(("suspend", handle)),
    )
    kernel = SimpleNamespace(kernel32=kernel32, ntdll=ntdll)
    return JobProgram(["game"], {}, None, None, kernel=kernel, popen=popen), kernel32, resumed


def test_program_begins_in_a_job_that_ends_with_the_trainer():
    made, kernel32, resumed = program()
    assert kernel32.calls == [("limits", 77, 9, 0x2000), ("assign", 77, 500)]
    assert made._process.options["creationflags"] & 0x4  # suspended until it is in the job
    assert resumed == [("resume", 500)]


def test_program_runs_until_all_that_it_started_has_ended():
    made, kernel32, _ = program()
    assert made.exit_code() is None
    made._process.code = 3
    assert made.exit_code() is None
    kernel32.members = []
    assert made.exit_code() == 3


def test_pause_suspends_all_processes_of_the_job_and_closes_their_handles():
    made, kernel32, done = program()
    made.pause()
    made.resume()
    assert done[1:] == [("suspend", 1040), ("suspend", 1041), ("resume", 1040), ("resume", 1041)]
    assert kernel32.calls.count(("close", 1040)) == kernel32.calls.count(("close", 1041)) == 2


def test_what_a_program_started_is_in_its_job_and_ends_with_it():
    made, kernel32, _ = program()
    assert [made.holds(pid) for pid in (40, 41, 42, 4000)] == [True, True, False, False]
    made.stop()
    made.stop()
    assert kernel32.calls.count(("terminate", 77)) == kernel32.calls.count(("close", 77)) == 1
    assert not made.holds(40)
    assert kernel32.opened == sum(call[0] == "close" and call[1] > 1000 for call in kernel32.calls)


@pytest.mark.parametrize("refuses", ["job", "limits", "assign"])
def test_program_that_gets_into_no_job_is_not_left_running(refuses):
    started, kernels = [], []

    def popen(*arguments, **options):
        started.append(Process(*arguments, **options))
        return started[-1]

    with pytest.raises(ProcessError, match=r"\['game'\] failed: Windows"):
        program(refuses, popen, kernels)
    assert all(process.code == 1 for process in started)
    assert kernels[0].calls.count(("close", 77)) == (refuses != "job")


def test_program_that_is_not_there_says_so():
    def popen(*arguments, **options):
        raise FileNotFoundError("no such file")

    with pytest.raises(ProcessError, match="failed: no such file"):
        program(popen=popen)
