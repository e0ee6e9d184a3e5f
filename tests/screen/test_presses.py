import pytest

from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.input import keys
from hakisa_envs.screen.input.dry_run import DryRunDevice
from hakisa_envs.screen.input.keys import Contact
from hakisa_envs.screen.input.presses import GAP_NS, TAP_NS, Presses

NAMES = ["a", "Left", "Alt_L", "F4", "Control_L", "Delete", "button1"]


class Refusing(DryRunDevice):
    """Refuses if told to; what it was asked for is done at ``slow`` nanoseconds, when `sync` returns."""

    refuse, now, slow = False, 0, 0

    def press(self, contact):
        return not self.refuse and super().press(contact)

    def sync(self):
        self.now = self.slow

    def clock(self):
        return self.now


@pytest.fixture
def device():
    return Refusing()


@pytest.fixture
def presses(device):
    return Presses(device, {name: key(name, 10 + i) for i, name in enumerate(NAMES)}, device.clock)


def key(name, code=9):
    if name in keys.BUTTONS:
        return Contact(name, "button", code)
    return Contact(name, "key", code, keys.role(keys.keysym(name)))


def test_tap_lasts_its_minimum_and_then_the_key_stays_up(presses, device):
    presses.tap("a", 1000)
    assert presses.held() == ["a"]
    assert presses.advance(1000 + TAP_NS - 1) == 1000 + TAP_NS
    assert presses.held() == ["a"]
    assert presses.advance(1000 + TAP_NS) is None
    assert list(device.record) == [("press", "a"), ("release", "a")]


@pytest.mark.parametrize("let_go", [Presses.advance, Presses.release_all])
@pytest.mark.parametrize("order", [("Control_L", "a", "button1"), ("a", "Control_L", "button1"), ("button1", "a")])
def test_what_goes_up_at_once_goes_up_in_the_reverse_order(presses, device, order, let_go):
    for name in order:  # late, all of them are over
        presses.tap(name, 0)
    let_go(presses, 2 * TAP_NS)
    assert list(device.record) == [*(("press", name) for name in order), *(("release", name) for name in order[::-1])]
    assert presses.held() == []


def test_one_tap_waits_and_more_are_dropped_and_counted(presses, device):
    for t in range(4):
        presses.tap("a", t, stale=10**9)
    assert presses.counts.dropped == 2
    assert presses.advance(TAP_NS) == TAP_NS + GAP_NS
    assert presses.held() == []
    assert presses.advance(TAP_NS + GAP_NS) == 2 * TAP_NS + GAP_NS
    presses.advance(2 * TAP_NS + GAP_NS)
    assert [act[0] for act in device.record] == ["press", "release"] * 2


def test_tap_that_waited_past_its_lease_is_dropped(presses):
    presses.tap("a", 0)
    presses.tap("a", 1, stale=TAP_NS)
    presses.advance(TAP_NS)
    presses.advance(TAP_NS + GAP_NS)
    assert presses.held() == []
    assert presses.counts.dropped == 1


def test_hold_stays_until_released_and_a_tap_of_it_is_dropped(presses):
    presses.hold("a", 0)
    presses.tap("a", 5)
    assert presses.advance(10**12) is None
    assert presses.held() == ["a"]
    presses.release("a", 10**12)
    assert presses.held() == []
    assert presses.counts.dropped == 1


def test_release_just_after_a_press_waits_for_the_minimum(presses):
    presses.hold("a", 0)
    presses.release("a", 1)
    assert presses.held() == ["a"]
    presses.advance(TAP_NS)
    assert presses.held() == []


def test_tap_becomes_a_hold(presses):
    presses.tap("a", 0)
    presses.hold("a", 1)
    presses.advance(10 * TAP_NS)
    assert presses.held() == ["a"]


def test_release_all_forgets_what_waits(presses):
    presses.tap("a", 0)
    presses.tap("a", 1)
    presses.hold("Left", 2)
    assert presses.release_all(3) == ["a", "Left"]
    assert presses.advance(10**12) is None
    assert presses.held() == []


def test_tap_lasts_its_minimum_from_when_the_press_was_done(presses, device):
    device.slow = 7
    presses.tap("a", 3)
    assert presses.advance(3) == TAP_NS + 7
    assert presses.advance(TAP_NS + 6) == TAP_NS + 7
    assert presses.held() == ["a"]
    assert presses.advance(TAP_NS + 7) is None
    assert presses.held() == []


def test_tap_that_waited_lasts_its_minimum_from_when_the_press_was_done(presses, device):
    presses.tap("a", 0)
    presses.tap("a", 1, stale=10 * TAP_NS)
    assert presses.advance(TAP_NS) == TAP_NS + GAP_NS
    device.slow = TAP_NS + GAP_NS + 5
    assert presses.advance(TAP_NS + GAP_NS) == 2 * TAP_NS + GAP_NS + 5


def test_release_in_the_step_of_the_press_waits_the_minimum_from_when_it_was_done(presses, device):
    device.slow = 7
    presses.hold("a", 3)
    presses.release("a", 3)
    assert presses.advance(TAP_NS + 6) == TAP_NS + 7
    assert presses.held() == ["a"]


def test_press_known_to_be_done_is_not_asked_for_again(presses, device):
    device.now, device.slow = 7, 1000
    presses.tap("a", 3)
    presses.settle()
    assert presses.advance(8) == TAP_NS + 7


def test_refused_press_is_counted_and_not_held(presses, device):
    device.refuse = True
    presses.hold("a", 0)
    presses.tap("Left", 0)
    assert presses.held() == []
    assert presses.counts.refused == 2


@pytest.mark.parametrize("order", [("Alt_L", "F4"), ("F4", "Alt_L"), ("Control_L", "Alt_L", "Delete")])
def test_combinations_for_the_desktop_are_refused_in_any_order(presses, order):
    for name in order:
        presses.hold(name, 0)
    assert presses.held() == [name for name in NAMES if name in order[:-1]]
    assert presses.counts.refused == 1


def test_mouse_with_control_and_alt_is_no_combination():
    assert not keys.denied_together([key("Control_L"), key("Alt_L"), key("button1")])
    assert not keys.denied_together([key("Control_L"), key("Delete")])


@pytest.mark.parametrize("name", ["Super_L", "F12", "L2", "Print", "XF86AudioMute", "XF86_PowerOff"])
def test_denied_keys_have_no_keysym(name):
    with pytest.raises(InputError, match="must not be pressed"):
        keys.keysym(name)


@pytest.mark.parametrize(("name", "hint"), [("left", "Left"), ("Spcae", "space"), ("rigth", "Right")])
def test_unknown_key_names_the_nearest(name, hint):
    with pytest.raises(InputError, match=hint):
        keys.keysym(name)
