"""What the recorder costs and how exact it is: 1080p with the film, a second X client that presses 20 times a second.

    python benchmarks/recorder.py                    # ten minutes at 30 steps a second
    python benchmarks/recorder.py --rate 60 --minutes 2

The second client notes the time of each press, between two answers of the server; that is compared with the time that
the recording gives the same press, on the clock of its frames. Events are matched by kind and key, each with the next
that was heard within half of the time after which the same comes again: one that was heard twice hides none that was
lost.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _results
import numpy as np

from hakisa_algos.stages.record import record
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics
from hakisa_envs.recording.events import PRESS, RELEASE
from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import Reading
from hakisa_envs.screen.profile import load_profile
from hakisa_envs.screen.readers import Bar, Brightness
from hakisa_envs.screen.region import Region

KEYS = ("space", "Left", "Right")


def large_game():
    """Flash at 1920 x 1080, of which 84 x 84 are seen, as of most games."""
    profile = load_profile("flash")
    readings = (
        Reading("flash", Brightness(Region(0, 0, 320, 120), every=4)),
        Reading("bar", Bar(Region(0, 900, 320, 90), (150, 0, 0), (255, 80, 80))),
    )
    return replace(
        profile,
        launch=replace(profile.launch, command=(*profile.launch.command, "1920", "1080")),
        window=replace(profile.window, size=(1920, 1080)),
        screen=replace(profile.screen, size=(1920, 1080)),
        actions=replace(profile.actions, commands=("noop", "tap", "hold", "release")),
        readings=readings,
        ends=(),
        reset=profile.reset[:1],
    )


class Presser(threading.Thread):
    """Taps keys in turn; an event is a press or a release."""

    def __init__(self, display: str, per_second: float) -> None:
        super().__init__(daemon=True)
        self.display, self.pause = display, 1 / per_second
        self.stop, self.sent = threading.Event(), []

    def run(self) -> None:
        """Until it is told to stop."""
        from Xlib import XK, X
        from Xlib.display import Display
        from Xlib.ext import xtest

        display = Display(self.display)
        codes = [display.keysym_to_keycode(XK.string_to_keysym(name)) for name in KEYS]
        due, number = time.monotonic(), 0
        while not self.stop.is_set():
            kind = X.KeyRelease if number % 2 else X.KeyPress
            before = time.monotonic_ns()
            xtest.fake_input(display, kind, codes[number // 2 % len(codes)])
            display.sync()
            key = KEYS[number // 2 % len(KEYS)]
            self.sent.append(((before + time.monotonic_ns()) // 2, RELEASE if number % 2 else PRESS, key))
            number += 1
            due += self.pause
            time.sleep(max(0.0, due - time.monotonic()))
        display.close()


def match(
    sent: Sequence[tuple[int, str, str]], heard: Sequence[tuple[int, str, str]], within_ns: int, until_ns: int
) -> tuple[list[int], int, int]:
    """How far each event that was heard lies from when it was sent, and how many were lost, or heard for no reason.

    Args:
        sent: time in nanoseconds, kind and key of each, in order.
        heard: likewise.
        within_ns: what lies further apart is not the same event.
        until_ns: what came later does not count.
    """
    errors, lost, extra = [], 0, 0
    for what in {one[1:] for one in (*sent, *heard)}:
        times = deque(t for t, *of in heard if tuple(of) == what)
        for t in (t for t, *of in sent if tuple(of) == what):
            while times and times[0] < t - within_ns:
                extra += times.popleft() <= until_ns
            same = bool(times) and times[0] <= t + within_ns
            if same and t <= until_ns:
                errors.append(abs(times[0] - t))
            lost += not same and t <= until_ns
            if same:
                times.popleft()
        extra += sum(t <= until_ns for t in times)
    return errors, lost, extra


def main() -> int:
    """Records, compares and stores."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--events", type=float, default=20.0, help="a second")
    given = parser.parse_args()
    env = ScreenGameEnv(large_game(), rate=given.rate)
    presser: list[Presser] = []

    def play() -> bool:
        if not presser and env.view is not None:
            assert env.session is not None
            presser.append(Presser(env.session.display.name, given.events))
            presser[0].start()
        return False

    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "recording"
        try:
            summary = record(
                env, folder, env_options={}, video=True, seconds=60 * given.minutes, say=lambda text: None, stop=play
            )
        finally:
            if presser:
                presser[0].stop.set()
                presser[0].join()
            env.close()
        recording = Recording.open(folder)
        statistics = Statistics.of(recording)
        heard = [(e.t_ns, e.kind, e.name) for e in recording.events if e.kind in (PRESS, RELEASE) and not e.script]
        until = int(recording.column("t_ns")[-1])
    again_ns = round(2 * len(KEYS) * 1e9 / given.events)
    errors, lost, extra = match(presser[0].sent, heard, again_ns // 2, until)
    error = np.array(errors) / 1e6
    figures = {
        "rate": given.rate,
        "minutes": given.minutes,
        "events": len(errors) + lost,
        "lost": lost,
        "heard_for_no_reason": extra,
        "sync_error_ms": {f"p{p}": float(np.percentile(error, p)) for p in (50, 99, 100)},
        "missed_share": summary.missed / max(summary.rows + summary.missed, 1),
        "mb_a_minute_without_film": statistics.bytes_a_minute / 1e6,
        "film_frames_repeated": summary.repeated,
        "unsaid": dict(summary.unsaid),
    }
    print(figures)
    print(_results.save(f"recorder_{given.rate:g}hz", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
