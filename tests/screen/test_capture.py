import os
import signal
import threading

import numpy as np
import pytest

from hakisa_envs.screen import image
from hakisa_envs.screen.capture import Capture
from hakisa_envs.screen.display import open_display
from hakisa_envs.screen.errors import CaptureError
from hakisa_envs.screen.processes import Keeper
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.xthread import XThread

from .helpers import wait_until


class ThreadedCapture:
    """A capture in its thread, as the env uses it."""

    def __init__(self, display):
        self.thread, self.capture = XThread(display), Capture(display)

    def grab(self, region, timeout=2.0):
        return self.thread.call(lambda: self.capture.grab(region), timeout)

    def close(self):
        self.thread.close(self.capture.close)


@pytest.fixture
def capture(xserver):
    capture = ThreadedCapture(xserver)
    yield capture
    capture.close()


def test_grab_shows_what_is_on_the_screen_as_bgra(capture, screen):
    window = screen.window(10, 20, 30, 40, colour=0x102030)
    frame = wait_until(lambda: (f := capture.grab(Region(10, 20, 30, 40))) and f.pixels.any() and f)
    assert frame.pixels.shape == (40, 30, 4)
    assert (frame.pixels[..., :3] == [0x30, 0x20, 0x10]).all()
    assert not frame.clipped
    window.destroy()


def test_frames_do_not_share_memory(capture, screen):
    window = screen.window(0, 0, 8, 8, colour=0xFFFFFF)
    first = wait_until(lambda: (f := capture.grab(Region(0, 0, 8, 8))) and f.pixels.any() and f)
    screen.fill(window, 0x000001)
    wait_until(lambda: not capture.grab(Region(0, 0, 8, 8)).pixels[..., 1].any())
    assert (first.pixels[..., 1] == 255).all()
    window.destroy()


@pytest.mark.parametrize(
    ("region", "inside"),
    [
        (Region(-5, -6, 20, 20), (slice(6, 20), slice(5, 20))),
        (Region(630, 470, 20, 20), (slice(0, 10), slice(0, 10))),
        (Region(-10, 0, 700, 10), (slice(0, 10), slice(10, 650))),
        (Region(5000, 5000, 20, 20), (slice(0, 0), slice(0, 0))),
    ],
)
def test_what_lies_off_the_screen_is_padded_and_flagged(capture, screen, region, inside):
    window = screen.window(0, 0, 640, 480, colour=0xFFFFFF)
    wait_until(lambda: capture.grab(Region(0, 0, 640, 480)).pixels[..., 0].all())
    frame = capture.grab(region)
    expected = np.zeros((region.height, region.width), np.uint8)
    expected[inside] = 255
    assert (frame.pixels[..., 0] == expected).all()
    assert frame.clipped
    window.destroy()


@pytest.fixture
def own_server():
    keeper = Keeper()
    display = open_display("xvfb", (64, 64), keeper)
    yield display
    keeper.close()


def test_stopped_server_is_a_time_out_and_not_a_hang(own_server):
    capture = ThreadedCapture(own_server.name)
    capture.grab(Region(0, 0, 8, 8))
    os.kill(own_server.server.pid, signal.SIGSTOP)
    with pytest.raises(CaptureError, match=r"within 0\.2 s"):
        capture.grab(Region(0, 0, 8, 8), timeout=0.2)
    with pytest.raises(CaptureError, match="reset"):
        capture.grab(Region(0, 0, 8, 8))
    capture.close()


def test_dead_server_is_one_error_with_a_cause(own_server):
    capture = ThreadedCapture(own_server.name)
    capture.grab(Region(0, 0, 8, 8))
    own_server.server.stop()
    with pytest.raises(CaptureError, match="gone") as caught:
        capture.grab(Region(0, 0, 8, 8))
    assert caught.value.__cause__ is not None
    capture.close()


def test_no_display_at_all_is_the_same_error():
    capture = ThreadedCapture(":9999")
    with pytest.raises(CaptureError, match=":9999"):
        capture.grab(Region(0, 0, 8, 8))
    capture.close()


def test_close_ends_the_thread_and_may_be_repeated(xserver):
    before = threading.active_count()
    capture = ThreadedCapture(xserver)
    capture.grab(Region(0, 0, 8, 8))
    assert threading.active_count() == before + 1
    capture.close()
    capture.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("source", [(1080, 1920), (480, 640), (84, 84), (50, 70), (333, 517)])
def test_observation_has_its_size_and_owns_its_memory(source, grey):
    pixels = np.random.default_rng(0).integers(0, 256, (*source, 4)).astype(np.uint8)
    observation = image.to_observation(pixels, (84, 84), grey)
    assert observation.shape == (84, 84, 1 if grey else 3)
    assert observation.dtype == np.uint8
    assert not np.shares_memory(observation, pixels)
    # Shrinking by area keeps the mean; the few pixels of 50 x 70 are repeated unevenly.
    assert abs(float(observation.mean()) - float(pixels[..., :3].mean())) < 3


def test_observation_keeps_colours_in_rgb_order_and_grey_by_bt601():
    pixels = np.zeros((168, 168, 4), np.uint8)
    pixels[..., 2] = 200  # red, in BGRA
    assert (image.to_observation(pixels, (84, 84), grey=False) == [200, 0, 0]).all()
    assert (image.to_observation(pixels, (84, 84), grey=True) == round(0.299 * 200)).all()
    assert (image.to_rgb(pixels) == [200, 0, 0]).all()


def test_black_ignores_the_alpha_channel():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 3] = 255
    assert image.is_black(pixels)
    pixels[1, 2, 1] = 9
    assert not image.is_black(pixels)
