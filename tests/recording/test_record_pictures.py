"""What a recording shows is the game as an agent sees it, and never what lies over it, below it, or in its place."""

import dataclasses
import itertools
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from Xlib import X

from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import VIDEO, Recording
from hakisa_envs.screen.capture import Capture
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import Launch, Observation, Window
from hakisa_envs.screen.games import flash
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.region import Region
from tests.screen.helpers import Screen, game_window, wait_until

from ..training.test_video import decode

MAIL = 0xFF00FF  # a colour that the game never has
RATE = 10.0  # slow machines keep up with it
PROFILE = load_profile("flash")
PROFILE = dataclasses.replace(
    PROFILE,
    observation=Observation(size=(160, 120), grey=False, stack=2),
    actions=dataclasses.replace(PROFILE.actions, rate=RATE),
    reset=tuple(step for step in PROFILE.reset if step.do == "look"),
)


def mail_in(pictures, least=60):
    """How many pixels of RGB pictures, channels last, are of the mail's colour, be it by a quarter."""
    red, green, blue = (pictures[..., channel].astype(int) for channel in range(3))
    return int(((red > least) & (blue > least) & (green < 40)).sum())


def film(path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    count, width, height, _ = decode(path)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    frames = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(frames, np.uint8).reshape(count, height, width, 3)


def pictures_of(recording):
    """All that is stored of pictures, by name, RGB with channels last."""
    rows, stack = recording.rows, PROFILE.observation.stack
    seen = rows.observation(np.arange(rows.rows)).numpy()
    last = np.stack([rows.final_observation(int(row)) for row in np.flatnonzero(recording.column("truncated"))])
    found = {}
    for name, stacks in (("observation", seen), ("final", last)):
        newest = stacks.reshape(len(stacks) * stack, 3, *stacks.shape[2:])
        found[name] = np.moveaxis(newest, 1, -1)
    found |= {name: recording.column(name) for name in rows.layout["columns"] if name.startswith("keep.")}
    assert len(found) == 5
    return found | {"film": film(recording.path / VIDEO)}


@pytest.fixture
def raw(monkeypatch):
    """How much of the mail was on the screen where the game is, of each grab."""
    counts, grab = [], Capture.grab

    def counted(self, region):
        frame = grab(self, region)
        counts.append(mail_in(frame.pixels[..., 2::-1]))
        return frame

    monkeypatch.setattr(Capture, "grab", counted)
    return counts


@pytest.fixture
def person(on_desktop, xserver):
    one = Screen(xserver)
    yield one
    one.close()


@pytest.fixture
def behind(person):
    """What is to be seen where the game is not."""
    return person.window(0, 0, 640, 480, colour=MAIL, title="behind")


@pytest.fixture(params=[True, None], ids=["armed", "unarmed"])
def env(request, on_desktop, behind):
    one = ScreenGameEnv(PROFILE, timeout=30.0, **on_desktop | {"armed": request.param})
    yield one
    one.close()


def raised(person, window, **where):
    window.configure(stack_mode=X.Above, **where)
    person.display.sync()


def test_another_window_is_in_no_picture_however_it_covers_the_game(env, person, raw, tmp_path):
    steps, seen, windows = itertools.count(), {}, {}

    def play():
        step = next(steps)
        if step == 4:
            windows["game"] = game_window(person)
            windows["mail"] = person.window(41, 31, 121, 81, colour=MAIL, title="mail", override=True)
            raised(person, windows["mail"])
            person.focus(windows["mail"])
        elif step == 10:
            seen["part"] = raw[-1]
            raised(person, windows["mail"], x=251, y=11)  # partly beside it
        elif step == 16:
            seen["edge"] = raw[-1]
            raised(person, windows["mail"], x=0, y=0, width=640, height=480)
        elif step == 22:
            seen["all"] = raw[-1]
            windows["mail"].destroy()
            windows["game"].unmap()
            person.display.sync()
        elif step == 28:
            seen["minimised"] = raw[-1]
            windows["game"].map()
            person.display.sync()
            person.focus(windows["game"])
        return step == 36

    options = {"env_options": {}, "keep": ("44,34,30,20",), "video": True, "say": lambda text: None}
    summary = record(env, tmp_path / "flash", stop=play, **options)
    size = 320 * 240
    assert (seen["part"], seen["all"], seen["minimised"]) == (121 * 81, size, size)
    assert 0 < seen["edge"] < 121 * 81
    recording = Recording.open(tmp_path / "flash")
    found = pictures_of(recording)
    assert summary.rows
    assert {name: mail_in(one, 100 if name == "film" else 60) for name, one in found.items()} == dict.fromkeys(found, 0)
    # What is covered is black, and only that.
    pictures = np.moveaxis(recording.rows.observation(recording.position).numpy()[:, -3:], 1, -1)
    clear, covered = pictures[2], pictures[8]
    assert not covered[16:56, 21:81].any()
    covered = covered.copy()
    covered[15:56, 20:81] = clear[15:56, 20:81]
    assert (covered == clear).all()
    assert not pictures[21].any()
    assert not pictures[27].any()
    assert (pictures[-1] == clear).all()
    assert recording.column("keep.region0")[2].all()
    assert not recording.column("keep.region0")[8].any()


@pytest.fixture
def running(on_desktop, behind, xserver):
    """A game that was there before."""
    process = subprocess.Popen([sys.executable, flash.__file__], env={**os.environ, "DISPLAY": xserver})
    yield process
    process.kill()
    process.wait()


@pytest.mark.usefixtures("running")
def test_a_window_that_lay_there_before_the_recording_began_is_in_no_picture(person, raw, on_desktop, tmp_path):
    wait_until(lambda: any(w.get_wm_name() == "Hakisa flash" for w in person.root.query_tree().children), 60)
    wait_until(lambda: game_window(person).get_attributes().map_state == X.IsViewable, 60)
    mail = person.window(41, 31, 121, 81, colour=MAIL, title="mail", override=True)
    raised(person, mail)
    profile = dataclasses.replace(PROFILE, launch=Launch(), reset=())
    env, steps = ScreenGameEnv(profile, timeout=30.0, **on_desktop | {"armed": None}), itertools.count()
    try:
        options = {"env_options": {}, "keep": ("44,34,30,20",), "video": True, "say": lambda text: None}
        record(env, tmp_path / "flash", stop=lambda: next(steps) == 8, **options)
        assert raw[-1] == 121 * 81
        found = pictures_of(Recording.open(tmp_path / "flash"))
        assert not any(mail_in(one, 100 if name == "film" else 60) for name, one in found.items())
        assert found["observation"][7].any()
        raised(person, mail, x=400, y=300)
        wait_until(lambda: env.watch()[4]["transition"], 60)
        assert not mail_in(np.moveaxis(env._stack.reshape(2, 3, 120, 160), 1, -1))
        assert (env._stack[-3:, 20:30, 30:40] == 20).all()
    finally:
        env.close()


@pytest.mark.parametrize("where", ["x11"], indirect=True)  # the portable one is told nothing: it asks before and after
def test_a_window_that_is_there_only_while_the_picture_is_taken_is_in_none(env, person, monkeypatch):
    env.reset()
    mail = person.window(41, 31, 121, 81, colour=MAIL, title="mail", override=True)
    mail.unmap()
    person.display.sync()
    wait_until(lambda: env.session.look().is_clear(env.session.area))
    grab, seen = Capture.grab, []

    def flashed(self, region):
        mail.map()
        raised(person, mail)
        frame = grab(self, region)
        mail.unmap()
        person.display.sync()
        seen.append(mail_in(frame.pixels[..., 2::-1]))
        return frame

    monkeypatch.setattr(Capture, "grab", flashed)
    views = [env.session.look() for _ in range(5)]
    assert min(seen) > 0
    assert not any(mail_in(view.frame.pixels[..., 2::-1]) or view.is_clear(env.session.area) for view in views)


def test_a_window_that_comes_and_goes_at_any_moment_is_in_no_picture(env, person, raw, xserver, on_desktop):
    env.reset()
    rng, stop = random.Random(0), threading.Event()
    goes = 0.0 if on_desktop.get("backend") == "portable" else 0.3  # which is told nothing, and asks before and after

    def flip():
        other = Screen(xserver)
        mail = other.window(10, 10, 200, 150, colour=MAIL, title="mail", override=True)
        while not stop.is_set():
            raised(other, mail, x=rng.randrange(-50, 250), y=rng.randrange(-50, 180))
            time.sleep(rng.uniform(0.002, 0.02))
            if rng.random() < goes:
                mail.unmap()
                other.display.sync()
                time.sleep(rng.uniform(0.002, 0.02))
                mail.map()
        other.close()

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        raw.clear()
        until = time.monotonic() + 600
        shown = []
        while len(shown) < 300 or sum(map(bool, raw)) < 100:
            assert time.monotonic() < until
            shown.append(mail_in(env.session.look().frame.pixels[..., 2::-1]))
    finally:
        stop.set()
        thread.join()
    assert not any(shown)


@pytest.fixture
def still(person):
    """A game whose picture stands still."""
    width, height = 320, 240
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixmap = person.root.create_pixmap(width, height, person.display.screen().root_depth)
    pen = pixmap.create_gc()
    for top in range(0, height, 60):  # a request has an end
        pixmap.put_image(pen, 0, top, width, 60, X.ZPixmap, 24, 0, noise[top : top + 60].tobytes())
    window = person.window(0, 0, width, height, title="still")
    window.change_attributes(background_pixmap=pixmap)
    window.clear_area()
    person.focus(window)
    yield noise[..., 2::-1]
    window.destroy()
    person.display.sync()


@pytest.mark.parametrize(
    "observation",
    [
        Observation(),
        Observation(size=(50, 37), grey=False, stack=3, region=Region(13, 7, 201, 155)),
        Observation(size=(320, 240), grey=False),
    ],
)
@pytest.mark.parametrize("armed", [True, None])
def test_play_and_recording_of_one_picture_are_equal_to_the_last_byte(still, observation, armed, on_desktop, tmp_path):
    profile = dataclasses.replace(
        PROFILE, launch=Launch(), window=Window("^still$"), observation=observation, readings=(), rewards=(), ends=(),
        reset=(),
    )  # fmt: skip
    played = []
    env = ScreenGameEnv(profile, timeout=30.0, **on_desktop)
    try:
        played.append(env.reset()[0])
        played += [env.step([0, 0, 0])[0] for _ in range(4)]
    finally:
        env.close()
    env, steps = ScreenGameEnv(profile, timeout=30.0, **on_desktop | {"armed": armed}), itertools.count()
    try:
        options = {"env_options": {}, "keep": ("0,0,320,240",), "say": lambda text: None}
        record(env, tmp_path / "still", stop=lambda: next(steps) == 5, **options)
    finally:
        env.close()
    recording = Recording.open(tmp_path / "still")
    stored = recording.rows.observation(recording.position).numpy()
    assert [picture.tobytes() for picture in stored[: len(played)]] == [picture.tobytes() for picture in played]
    assert played[-1].any()
    assert (recording.column("keep.region0")[:-1] == still).all()
