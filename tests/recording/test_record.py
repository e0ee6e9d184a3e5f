"""A live game is played by a second X client, recorded by the real recorder, and read back."""

import dataclasses
import itertools
import threading

import numpy as np
import pytest

from hakisa_algos.errors import ConfigError
from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_envs.contract import MEANING
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.meaning import meaning
from hakisa_envs.screen.profile import load_profile
from tests.screen.helpers import press_chord

from .test_listener import LEFT, SPACE, Person
from .test_sign import signs as red_dots

PROFILE = load_profile("flash")
RATE = 10.0  # slow machines keep up with it
PROFILE = dataclasses.replace(
    PROFILE,
    actions=dataclasses.replace(PROFILE.actions, commands=("noop", "tap", "hold", "release"), rate=RATE),
)


F9, F10 = 0xFFC6, 0xFFC7


def chord(person, key):
    """With Ctrl and Shift."""
    keys = (0xFFE3, 0xFFE1, key)
    for keysym in keys:
        person.key(keysym, True)
    for keysym in reversed(keys):
        person.key(keysym, False)


@pytest.fixture(scope="module")
def played(where, own_desktop, tmp_path_factory):
    """Some taps of Space, Left held for a while, a canary typed elsewhere, and a bad second half."""
    folder = tmp_path_factory.mktemp("played") / "flash"
    person, steps, shown, signs = Person(own_desktop), [], [], []
    env = ScreenGameEnv(PROFILE, timeout=30.0, **where | {"display": "current", "armed": True})
    windows = {}

    def play():
        step = len(steps)
        steps.append(step)
        if env.view is not None:
            shown.append(env._stack.copy())
        if step == 4:
            signs.extend(red_dots(person))
        if step in (5, 12, 20):
            person.tap(SPACE)
        elif step in (24, 32):
            person.key(LEFT, step == 24)
        elif step == 36:
            windows["game"] = person.display.get_input_focus().focus
            windows["mail"] = person.window(500, 400, 60, 60, title="mail")
            person.focus(windows["mail"])
        elif step == 38:
            for keysym in (ord("s"), ord("e"), SPACE):
                person.tap(keysym)
        elif step == 40:
            windows["mail"].destroy()
            person.focus(windows["game"])
        elif step == 46:
            person.tap(SPACE)
        elif step == 48:
            chord(person, F9)
            threading.Timer(0.3, lambda: (person.tap(LEFT), chord(person, F9))).start()
        elif step == 50:
            chord(person, F10)
        return step == 52

    try:
        options = {"env_options": {"game": "flash"}, "keep": ("0,0,20,10",)}
        summary = record(env, folder, **options, stop=play, say=lambda text: None)
        assert len(signs) == 1
        assert not red_dots(person)
    finally:
        env.close()
        person.close()
    return folder, summary, shown


def test_what_was_played_is_in_it(played):
    folder, summary, _ = played
    recording = Recording.open(folder)
    assert recording.facts[MEANING] == meaning(PROFILE, RATE)
    said = recording.facts["commands"]
    action, learned = recording.column("action"), recording.column("learned")
    done = [said[c] for c in action[:, 0] if said[c] != "noop"]
    assert done == ["tap", "tap", "tap", "hold", "release", "tap"]
    held = np.flatnonzero(action[:, 0] == 2)[0], np.flatnonzero(action[:, 0] == 3)[0]
    assert held[1] - held[0] == 8
    assert {recording.facts["rules"]["keys"][a] for a in action[action[:, 0] == 2][:, 1]} == {"Left"}
    assert summary.rows == recording.column("transition").sum()  # which on a slow machine most rows are none of
    assert len(recording.position) == 52
    assert summary.gaps > 0
    assert not learned[recording.column("gap")].any()


def test_the_rows_in_which_a_pause_begins_and_ends_are_gaps(played):
    recording = Recording.open(played[0])
    begin, end = (event.t_ns for event in recording.events if event.kind in ("pause", "resume"))
    first, last = np.searchsorted(recording.column("t_ns"), (begin, end), "right") - 1
    assert first < last
    assert recording.column("gap")[first : last + 1].all()
    assert not recording.column("learned")[first : last + 1].any()


def test_a_canary_that_was_typed_elsewhere_is_nowhere(played):
    recording = Recording.open(played[0])
    presses = [event for event in recording.events if event.kind == "press" and not event.script]
    assert [event.name for event in presses] == ["space"] * 3 + ["Left", "space"]
    later = [event for event in recording.events if event.t_ns > presses[3].t_ns]
    gap, on = (next(event.t_ns for event in later if event.kind == kind) for kind in ("gap", "on"))
    assert not [e for e in recording.events if gap < e.t_ns < on and e.kind in ("press", "release")]


def test_a_pause_is_said_and_what_was_done_in_it_is_not_kept(played):
    recording = Recording.open(played[0])
    said = [event for event in recording.events if event.kind in ("pause", "resume", "bad")]
    assert [event.kind for event in said] == ["pause", "resume", "bad"]
    between = [e.kind for e in recording.events if said[0].t_ns < e.t_ns < said[1].t_ns]
    assert "press" not in between
    assert recording.marks["dropped"].all()  # its only episode was marked as bad


def test_pictures_are_those_of_play_to_the_last_byte(played):
    folder, _, shown = played
    recording = Recording.open(folder)
    stored = recording.rows.observation(recording.position).numpy()
    assert len(shown) > 40
    for picture in shown:
        assert (stored == picture).all((1, 2, 3)).any()


def test_events_lie_in_the_rows_whose_action_they_are(played):
    recording = Recording.open(played[0])
    t, action = recording.column("t_ns"), recording.column("action")
    for event in recording.events:
        if event.kind == "press" and not event.script:
            row = int(np.searchsorted(t, event.t_ns, "right")) - 1
            assert action[row, 0] in (1, 2)


def test_regions_of_readings_are_kept_in_full_resolution(played):
    recording = Recording.open(played[0])
    assert recording.column("keep.flash").shape[1:] == (120, 320, 3)
    assert recording.column("keep.region0").shape[1:] == (10, 20, 3)
    brightness = recording.column("keep.flash").reshape(len(recording.position), -1).mean(1)
    assert np.corrcoef(brightness, recording.column("reading.flash"))[0, 1] > 0.99


@pytest.fixture
def unarmed(on_desktop):
    """A game on the desktop whose scripts press nothing."""
    looks = tuple(step for step in PROFILE.reset if step.do == "look")
    profile = dataclasses.replace(PROFILE, start=(), reset=looks)
    env = ScreenGameEnv(profile, timeout=30.0, **on_desktop | {"armed": None})
    yield env
    env.close()


def test_game_on_the_desktop_is_recorded_unarmed_if_its_scripts_press_nothing(on_desktop, unarmed, tmp_path):
    with pytest.raises(ConfigError, match=r"'flash' must press keys.*--arm, or leave \[\[start\]\] and"):
        record(ScreenGameEnv(PROFILE, **on_desktop | {"armed": None}), tmp_path / "flash", env_options={})
    asked = itertools.count()
    summary = record(unarmed, tmp_path / "flash", env_options={}, stop=lambda: next(asked) > 5, say=lambda text: None)
    assert (summary.why, summary.episodes) == ("it was told to", 1)
    assert len(Recording.open(tmp_path / "flash").position) > 0


def test_a_pause_between_two_episodes_begins_with_the_next(unarmed, xserver, tmp_path, monkeypatch):
    person, reset, watch, said, resets, rows = Person(xserver), unarmed.reset, unarmed.watch, [], [], []

    def pausing():
        resets.append(len(rows))
        if len(resets) == 2:
            chord(person, F9)
        return reset()

    def short():
        rows.append(len(resets))
        observation, reward, terminated, truncated, info = watch()
        return observation, reward, terminated, truncated or len(rows) == 3, info

    def say(text):
        said.append(text)
        if text.startswith("paused"):
            chord(person, F9)

    monkeypatch.setattr(unarmed, "reset", pausing)
    monkeypatch.setattr(unarmed, "watch", short)
    record(unarmed, tmp_path / "flash", env_options={}, stop=lambda: len(rows) >= 12, say=say)
    person.close()
    assert [text for text in said if not text.startswith("episode")] == ["paused; Ctrl+Shift+F9 goes on", "it goes on"]
    events = [event for event in Recording.open(tmp_path / "flash").events if event.kind in ("pause", "resume")]
    assert [event.kind for event in events] == ["pause", "resume"]
    assert not any(event.script for event in events)


@pytest.mark.parametrize("paused", [False, True])
def test_kill_chord_ends_an_unarmed_recording_too(unarmed, xserver, paused, tmp_path):
    said, person = [], Person(xserver)

    def say(text):
        said.append(text)
        if text.startswith("episode" if not paused else "paused"):
            press_chord(person)
        elif text.startswith("episode"):
            chord(person, F9)

    summary = record(unarmed, tmp_path / "flash", env_options={}, seconds=60.0, say=say)
    person.close()
    assert summary.why == "the kill chord"
    assert len(said) == 1 + paused
    events = Recording.open(tmp_path / "flash").events
    assert [e.kind for e in events if e.kind in ("pause", "kill")] == ["pause", "kill"][not paused :]


def test_a_part_that_lies_outside_the_window_is_refused(on_desktop, tmp_path):
    env = ScreenGameEnv(PROFILE, timeout=30.0, **on_desktop)
    try:
        with pytest.raises(ConfigError, match=r"region0.*inside the window of 320 x 240"):
            record(env, tmp_path / "flash", env_options={}, keep=("310,0,20,10",), say=lambda text: None)
    finally:
        env.close()
