"""The console view: a panel on a terminal, lines elsewhere, and never a reason for a run to end."""

import io
import math
import os
import pty
import subprocess
import sys

import pytest

from hakisa_algos.training.console import ConsoleView
from hakisa_algos.training.progress import Progress, duration, number

METRICS = {
    "rollout/ep_rew_mean": 12.4,
    "rollout/ep_len_mean": 1820.3,
    "rollout/episodes": 1204,
    "train/approx_kl": 0.00812,
    "train/entropy": 1.2034,
    "train/explained_variance": 0.9312,
    "train/learning_rate": 2.5e-4,
    "time/fps": 1183.2,
    "time/env_share": 0.32,
    "time/act_share": 0.21,
    "time/update_share": 0.45,
    "time/elapsed": 42.0,
    "eval/mean_reward": 14.0,
}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Clock()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_what_takes_long_is_shown_until_it_is_over(kind, clock):
    stream = kind()
    with ConsoleView("PPO on CartPole-v1", 100, stream, clock) as view:
        clock.now += 60
        view.status("evaluating: 3 of 20 episodes")
        assert "evaluating: 3 of 20 episodes" in stream.getvalue()
        shown = len(stream.getvalue())
        clock.now += 60
        view.update(50, METRICS)
        assert "evaluating" not in stream.getvalue()[shown:]


def test_lines_when_not_a_terminal(clock):
    stream = io.StringIO()
    with ConsoleView("PPO on CartPole-v1", 2_000_000, stream, clock) as view:
        for step in range(1, 101):
            clock.now += 1
            view.update(step * 8400, METRICS)
        view.notice("careful")
        view.notice("careful")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "PPO on CartPole-v1: 2,000,000 steps"
    assert 10 <= len(lines) <= 14  # every ten seconds, not every update
    assert lines.count("  ! careful") == 1
    assert "\x1b" not in stream.getvalue()
    last = lines[-1]
    for part in ("840,000/2,000,000 42%", "1,183 steps/s", "16:20 left", "return 12.4", "KL 0.00812", "env 32%"):
        assert part in last


def test_the_last_state_is_always_written(clock):
    stream = io.StringIO()
    with ConsoleView("x", 100, stream, clock) as view:
        view.update(1, {})
        view.update(100, {})
    assert "100/100 100%" in stream.getvalue().splitlines()[-1]


def test_a_panel_on_a_terminal_with_everything_in_it(clock):
    stream = Terminal()
    with ConsoleView("PPO on Hakisa/Pong-v0", 2_000_000, stream, clock) as view:
        for step in range(1, 43):
            clock.now += 1
            view.update(step * 20_000, {**METRICS, "rollout/ep_rew_mean": float(step)})
        view.notice("stopped early")
        view.notice("stopped early")
    text = stream.getvalue()
    final = text[text.rindex("╭") :]
    for part in (
        "PPO on Hakisa/Pong-v0", "42%", "840,000 of 2,000,000 steps", "1,183", "16:20", "▁", "█", "1,204", "0.00812",
        "explained variance", "32%", "21%", "45%", "deterministic", "stopped early", "x 2",
    ):  # fmt: skip
        assert part in final, part
    assert text.endswith("\x1b[?25h")  # the cursor is back
    assert "\x1b[?1049h" not in text  # on the normal screen, so that the last panel stays


def test_it_draws_four_times_a_second_at_most(clock):
    stream = Terminal()
    with ConsoleView("x", 10_000, stream, clock) as view:
        for step in range(1000):
            clock.now += 0.01
            view.update(step, METRICS)
    assert 30 <= stream.getvalue().count("╭") <= 45


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_any_width_is_drawn_within_it(clock, monkeypatch, width):
    from rich.console import Console

    from hakisa_algos.training.console_panel import panel

    progress = Progress("PPO on a game with a long name", 10**9, step=10**8, metrics=dict(METRICS))
    progress.returns, progress.notices = {0: 1.0, 1: 2.0}, [("a long notice " * 5, 3)]
    output = io.StringIO()
    Console(file=output, width=width).print(panel(progress, width))
    assert max(map(len, output.getvalue().splitlines())) <= width


def test_odd_values_are_drawn(clock):
    for stream in (Terminal(), io.StringIO()):
        with ConsoleView("odd [bold]title[/", 0, stream, clock) as view:
            for value in (math.nan, math.inf, -math.inf, 0.0, 1e300, -1e-300):
                clock.now += 20
                view.update(5, dict.fromkeys(METRICS, value))
            assert view._stream is not None  # still alive


def test_no_terminal_features_without_rich_or_on_a_dumb_terminal(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert_plain(clock)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delitem(sys.modules, "hakisa_algos.training.console_panel", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    for name in [name for name in sys.modules if name.startswith("rich.")]:
        monkeypatch.delitem(sys.modules, name)
    assert_plain(clock)


def assert_plain(clock):
    stream = Terminal()
    with ConsoleView("x", 10, stream, clock) as view:
        view.update(10, METRICS)
    assert "10/10 100%" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


class Broken(io.StringIO):
    """A stream that breaks after some writes."""

    def __init__(self, error, tty, writes):
        super().__init__()
        self.error, self.tty, self.left = error, tty, writes

    def isatty(self):
        return self.tty

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)

    def flush(self):
        if self.left < 0:
            raise self.error


@pytest.mark.parametrize("writes", [0, 1, 3])
@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "gone"), ValueError("closed"), UnicodeError("no")])
def test_a_broken_stream_never_reaches_the_training(clock, error, tty, writes):
    with ConsoleView("x", 1000, Broken(error, tty, writes), clock) as view:
        for step in range(20):
            clock.now += 15
            view.update(step, METRICS)
            view.notice(f"notice {step}")
        assert view._stream is None


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_a_broken_terminal_leaves_standard_output_alone(clock, monkeypatch, tmp_path, writes):
    path = tmp_path / "output.txt"
    with path.open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with ConsoleView("x", 1000, Broken(BrokenPipeError(), True, writes), clock) as view:
            for step in range(20):
                clock.now += 15
                view.update(step, METRICS)
            assert view._stream is None
        print("still here", flush=True)
    assert path.read_text() == "still here\n"


def test_nonsense_never_reaches_the_training(clock):
    with ConsoleView("x", 1000, io.StringIO(), clock) as view:
        view.update(1, {"train/loss": "not a number"})
        assert view._stream is None
    view.update(2, {})  # after the end: nothing happens
    view.notice("x")
    view.stop()


def test_an_interrupt_gets_through(clock, monkeypatch):
    with ConsoleView("x", 1000, io.StringIO(), clock) as view:
        monkeypatch.setattr(Progress, "line", lambda progress: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            view.update(1, {})
        monkeypatch.undo()


RUN = """
import sys, time
from hakisa_algos.training.console import ConsoleView
view = ConsoleView("PPO", 1000)
for step in range(1, 1001):
    view.update(step, {"time/fps": 10.0})
    view.notice(f"notice {step}")
if sys.argv[1] == "crash":
    raise SystemExit(3)
view.stop()
sys.stderr.write("trained")
"""


def env():
    return {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_closed_pipe_does_not_end_a_run_nor_make_it_fail_at_exit():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, "end"], stdout=writer, stderr=subprocess.PIPE, env=env(),
        text=True, timeout=600,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "trained")


@pytest.mark.parametrize("how", ["end", "crash"])
def test_a_real_terminal_gets_its_cursor_back_however_the_run_ends(how):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", RUN, how], stdout=theirs, stderr=theirs, env=env())
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    assert process.wait(60) == (3 if how == "crash" else 0)
    assert "╭".encode() in output
    assert output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l")


def test_history_is_thinned_not_cut(clock):
    progress = Progress("x", 10_000)
    for step in range(12_000):  # a run may go on for longer than it was to
        progress.take(step, {"rollout/ep_rew_mean": float(step)})
    returns = list(progress.returns.values())
    assert 200 < len(returns) <= 257
    assert returns == sorted(returns)
    assert returns[0] < 200
    assert returns[-1] == 11_999


def test_what_is_not_given_keeps_its_value_and_what_is_unknown_is_left_out(clock):
    stream = io.StringIO()
    with ConsoleView("x", 1000, stream, clock) as view:
        view.update(1, {"eval/mean_reward": 5.0, "rollout/win_rate": 0.25, "rollout/ep_rew_mean": math.nan})
        view.notice("")  # an empty one, too
        view.update(2, {"train/entropy": 1.5})
    assert stream.getvalue().splitlines()[-1] == "2/1,000 0%  won 25%  evaluated 5  entropy 1.5"


def test_sparklines():
    from hakisa_algos.training.console_panel import sparkline

    assert sparkline([], 10) == ""
    assert sparkline([3.0], 10) == "▄"
    assert sparkline([0, 1], 10) == "▁█"
    assert sparkline(list(range(800)), 8) == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (14.0, "14"), (-20.4, "-20.4"), (1204, "1,204"), (0.00812, "0.00812"), (2.5e-4, "0.00025"),
     (1e-7, "1e-07"), (123456.7, "123,457"), (1e300, "1e+300")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (42, "00:42"), (980, "16:20"), (11100, "3:05:00"), (4 * 86400, "4 days, 0:00:00"), (math.inf, "-"),
     (math.nan, "-")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text
    assert duration(1e300)  # at a pace that is no pace


def test_a_plain_line_of_a_run_that_knows_nothing_yet():
    assert Progress("x", 100).line() == "0/100 0%"
