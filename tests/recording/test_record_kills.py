"""What is left of a recording of a live game that is killed, and what is said when nobody listens any more."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.errors import InputError
from hakisa_envs.screen.games import flash
from hakisa_envs.screen.input.client import InputClient
from tests.screen.helpers import game_window, wait_until

from .test_listener import LEFT, SPACE, Person, repeats
from .test_record import PROFILE

RATE = 20.0
GAME = f"""
name = "flash"
[launch]
command = ["{{python}}", "{flash.__file__}"]
[window]
title = "^Hakisa flash$"
size = [320, 240]
[observation]
size = [84, 84]
stack = 2
[actions]
commands = ["noop", "tap", "hold", "release"]
keys = ["space", "Left"]
rate = {RATE}
"""


@pytest.fixture
def person(xserver):
    one = Person(xserver)
    yield one
    one.key(SPACE, False)
    one.close()


def has_game(person):
    return any(window.get_wm_name() == "Hakisa flash" for window in person.root.query_tree().children)


@pytest.mark.parametrize("number", range(5))
def test_after_a_kill_it_opens_at_most_a_second_is_missing_and_keys_repeat_again(number, person, xserver, tmp_path):
    (tmp_path / "game.toml").write_text(GAME)
    folder, rng = tmp_path / "played", random.Random(number)
    command = [sys.executable, "-m", "hakisa_algos", "record", tmp_path / "game.toml", "--display", xserver]
    armed = ["--arm"] if number % 2 else []
    wait_until(lambda: not has_game(person), 60)  # the one before
    assert repeats(person)
    child = subprocess.Popen([*map(str, command), "--to", folder, *armed], stdout=subprocess.PIPE, text=True)
    try:
        assert any("episode 1" in line for line in child.stdout)
        assert not repeats(person)
        person.focus(game_window(person))
        tapped, until = [], time.monotonic() + rng.uniform(2.5, 4.5)
        while time.monotonic() < until:
            person.tap(rng.choice([SPACE, LEFT]))
            tapped.append(time.monotonic_ns())
            time.sleep(rng.uniform(0.01, 0.1))
        assert not repeats(person)
    finally:
        child.kill()
        killed = time.monotonic_ns()
        child.wait()
        child.stdout.close()
    recording = Recording.open(folder)
    t = recording.column("t_ns")
    # A machine that is late with everything is late with this, too: with rows, which others write, by more.
    late = max(int(np.diff(t).max()) - 1e9 / RATE, 0)
    assert t[-1] >= killed - 1e9 - 10 * late
    pressed = [event.t_ns for event in recording.events if event.kind == "press"]
    # The first may have come before the recorder heard that the game has the focus.
    on = next(event.t_ns for event in reversed(recording.events) if event.kind == "on")
    owed = [when for when in tapped if on + 5e6 < when < killed - 1e9 - late]
    assert owed
    assert len([when for when in pressed if when > on]) >= len(owed)
    assert len(pressed) <= len(tapped)
    wait_until(lambda: repeats(person), 30)


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize("end", ["close", "kill", "kill and close"])
def test_keys_repeat_again_however_an_input_server_ends(xserver, person, dry, end):
    display, keyboard = (None, xserver) if dry else (xserver, None)
    client = InputClient(display, ["space", "Left"], timeout=60.0, keyboard=keyboard)
    client.start()
    client.wait_ready(120.0)
    assert repeats(person)
    client.set_repeat(False)
    assert not repeats(person)
    if end == "kill":  # the one that comes in its place is told
        os.kill(client.pid, signal.SIGKILL)
        wait_until(lambda: repeats(person), 30)
        client.report()
        assert client.restarts == 1
        assert not repeats(person)
    if end == "kill and close":
        os.kill(client.pid, signal.SIGKILL)
    client.close()
    wait_until(lambda: repeats(person), 30)


def test_a_dry_run_whose_keys_repeat_leaves_the_keyboard_alone(xserver, person):
    code = person.keycode(SPACE)
    person.display.change_keyboard_control(key=code, auto_repeat_mode=0)  # as somebody likes it
    person.display.sync()
    client = InputClient(None, ["space"], timeout=60.0, keyboard=xserver)
    client.start()
    client.wait_ready(120.0)
    client.close(60.0)
    assert not repeats(person)
    person.display.change_keyboard_control(key=code, auto_repeat_mode=2)
    person.display.sync()


def die(listener):
    """As by an X server that closes the connection; or a thread of pynput's, which ends with the next event."""
    if hasattr(listener, "_listeners"):
        listener._listeners[0].stop()
    else:
        listener._display.display.socket.shutdown(socket.SHUT_RDWR)


def test_recording_whose_listener_dies_ends_with_a_message_and_is_kept(on_desktop, person, tmp_path, monkeypatch):
    env, made, steps = ScreenGameEnv(PROFILE, timeout=30.0, **on_desktop), [], itertools.count()
    listener = env.backend.listener
    monkeypatch.setattr(env.backend, "listener", lambda *given: made.append(listener(*given)) or made[-1])

    def stop():
        step = next(steps)
        if step == 10:
            die(made[-1])
        if step >= 10:
            person.tap(SPACE)
        return step == 100

    try:
        with pytest.raises(InputError, match=r"Nobody listens to the keyboard any more .*the recording has to stop"):
            record(env, tmp_path / "flash", env_options={}, stop=stop, say=lambda text: None)
    finally:
        env.close()
    assert next(steps) < 60
    recording = Recording.open(tmp_path / "flash")
    rows = recording.episodes[0]
    assert rows.stop - rows.start >= 10
    assert recording.column("truncated")[rows.stop - 2]
    assert recording.events[-1].kind == "end"
