"""How the portable back end finds the game's window, on a desktop that is made up."""

import pytest

from hakisa_envs.screen.backends.portable.finder import PortableFinder
from hakisa_envs.screen.backends.portable.system import DesktopWindow, Sight
from hakisa_envs.screen.errors import WindowError
from hakisa_envs.screen.region import Region

SCREEN, PLACE = Region(0, 0, 1000, 800), Region(10, 20, 640, 480)


class Desktop:
    """Windows that are made up, the frontmost first."""

    def __init__(self, *windows, screen=SCREEN):
        self.stack, self.area, self.above, self.shown = list(windows), screen, (), True
        self.calls, self.destroyed = [], False

    def windows(self):
        return list(self.stack)

    def look(self, number):
        found = [window for window in self.stack if window.number == number]
        return Sight(found[0].region, self.shown, self.above) if found else None

    def was_destroyed(self, number):
        destroyed, self.destroyed = self.destroyed, False
        return destroyed

    def screen(self):
        return self.area

    def show(self, number, region):
        self.calls.append(("show", number, region))

    def activate(self, number):
        self.calls.append(("activate", number))

    def answers(self, number, timeout):
        return True

    def close(self):
        self.calls.append("close")


def window(number, title="game", pid=7, region=PLACE):
    return DesktopWindow(number, title, pid, region)


def finder(desktop, **more):
    return PortableFinder(lambda: desktop, "^game", **more)


def test_only_window_that_fits_is_found_and_two_are_named():
    desktop = Desktop(window(1, "mail"), window(2))
    found = finder(desktop)
    assert found.find() == 2
    assert found.titles() == ["mail", "game"]
    desktop.stack.append(window(3, "game two", pid=8))
    with pytest.raises(WindowError, match=r"2 windows on the desktop.*\['game', 'game two'\]"):
        finder(desktop).find()
    assert found.find() == 2  # the other is of another program
    assert finder(Desktop(window(1, "mail"))).find() is None


def test_of_the_launched_programs_windows_the_one_with_the_size_or_the_largest_is_taken():
    small, large = window(1, region=Region(0, 0, 100, 100)), window(2)
    other = window(3, pid=9, region=Region(0, 0, 900, 700))
    assert finder(Desktop(small, large, other), is_ours=lambda pid: pid == 7).find() == 2
    assert finder(Desktop(small, large, other), is_ours=lambda pid: pid == 7, size=(100, 100)).find() == 1


def test_splash_is_superseded_by_the_window_that_comes_after_it(monkeypatch):
    monkeypatch.setattr("hakisa_envs.screen.backends.portable.finder.SEARCH_S", 0.0)
    desktop = Desktop(window(1, region=Region(0, 0, 100, 100)))
    found = finder(desktop, is_ours=lambda pid: True)
    found.find()
    found.state()
    assert not found.superseded
    desktop.stack.append(window(2))
    found.state()
    assert found.superseded
    assert found.find() == 2
    found.state()
    assert not found.superseded


def test_state_tells_what_covers_the_window_in_its_own_coordinates():
    desktop = Desktop(window(1))
    found = finder(desktop)
    found.find()
    assert not found.state().obscured
    desktop.above = (Region(0, 0, 30, 30), Region(900, 700, 10, 10))
    state = found.state()
    assert (state.obscured, state.covers, state.screen) == (True, (Region(0, 0, 20, 10),), (1000, 800))
    desktop.above, desktop.shown = (), False
    assert (found.state().obscured, found.state().shown) == (True, False)
    desktop.stack.clear()
    with pytest.raises(WindowError, match="is gone"):
        found.state()


@pytest.mark.parametrize(
    ("region", "screen", "asked"),
    [
        (Region(10, 20, 640, 480), Region(0, 0, 1000, 800), None),
        (Region(10, 20, 300, 300), Region(0, 0, 1000, 800), Region(10, 20, 640, 480)),
        (Region(500, 20, 640, 480), Region(0, 0, 1000, 800), Region(0, 0, 640, 480)),
        (Region(-900, 20, 640, 480), Region(-1000, 0, 2000, 800), None),  # on a monitor left of the main one
    ],
)
def test_window_gets_its_size_back_and_is_moved_onto_the_screen(region, screen, asked):
    desktop = Desktop(window(1, region=region), screen=screen)
    found = finder(desktop)
    found.find()
    found.restore(640, 480)
    found.focus()
    found.close()
    found.close()
    assert desktop.calls == [("show", 1, asked), ("activate", 1), "close"]


def test_window_that_has_the_number_of_one_that_is_gone_is_another_and_is_found_anew():
    desktop = Desktop(window(1, region=Region(0, 0, 100, 80)))
    found = finder(desktop, is_ours=lambda pid: True)
    found.find()
    desktop.stack, desktop.destroyed = [window(1)], True
    found.restore(100, 80)
    assert desktop.calls == []  # it would give the game the size of a splash
    with pytest.raises(WindowError, match="is gone"):
        found.state()
    assert found.find() == 1
    assert found.state().region == PLACE
