"""report.html opens from disk in a browser: no console error, no network request, videos that play."""

import re
import shutil
import struct

import gymnasium as gym
import pytest

from hakisa_algos.cli.main import main
from tests.helpers.browser import Browser
from tests.helpers.counting import CountingEnv

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: sh scripts/system-packages.sh")

ARGUMENTS = ("--seeds", "2", "--steps", "400", "--final-episodes", "4", "--film-steps", "20", "--workers", "0")
# What a failing env says is somebody's own text, and could be anything.
ODD = "<b>&</b>"


class Odd(CountingEnv):
    def step(self, action):
        raise ValueError(ODD)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "c"
    arguments = ["--algorithms", "ppo", "a2c", "--envs", "Hakisa/Press-v0", "Own/Odd-v0", "--out", str(out)]
    gym.register("Own/Odd-v0", Odd)
    try:
        assert main(["compare", *arguments, *ARGUMENTS]) == 1  # the odd env fails, and is told of
    finally:
        del gym.registry["Own/Odd-v0"]
    return out / "report.html"


@pytest.fixture
def browser(tmp_path):
    assert CHROMIUM is not None
    opened = Browser(CHROMIUM, tmp_path / "profile")
    yield opened
    opened.close()


@needs_browser
def test_it_opens_with_no_error_and_no_request(report, browser):
    browser.open(report.as_uri())
    assert browser.evaluate("document.querySelectorAll('.chart svg polyline.curve').length") == 4  # 2 x steps, seconds
    lengths = browser.evaluate(
        """Promise.all([...document.querySelectorAll('video')].map(video => new Promise((good, bad) => {
            if (video.readyState > 0) { good(video.duration); }
            video.addEventListener('loadedmetadata', () => good(video.duration));
            video.addEventListener('error', () => bad(new Error(video.error.message)));
        })))"""
    )
    assert len(lengths) == 3  # with the random player
    assert min(lengths) > 1
    assert browser.errors == []
    assert browser.requests == [report.as_uri()]


@needs_browser
def test_the_switch_and_the_cursor_work(report, browser):
    browser.open(report.as_uri())
    shown = "[...document.querySelectorAll('.chart')].map(c => getComputedStyle(c).display != 'none')"
    assert browser.evaluate(shown) == [True, False]
    browser.evaluate("document.getElementById('by-seconds').click()")
    assert browser.evaluate(shown) == [False, True]
    browser.evaluate("document.getElementById('by-step').click()")
    said = browser.evaluate(
        """(() => { const svg = document.querySelector('.chart svg'), box = svg.getBoundingClientRect();
            const at = {clientX: box.left + box.width / 4, clientY: box.top + 9};
            svg.dispatchEvent(new PointerEvent('pointermove', at));
            return document.querySelector('.tip').textContent; })()"""
    )
    assert "env steps" in said
    assert "ppo" in said
    assert "a2c" in said
    assert browser.errors == []


@needs_browser
def test_the_page_is_not_wider_than_a_phone(report, browser):
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **metrics)
    browser.open(report.as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth") == 390


@needs_browser
def test_this_test_would_see_an_error_and_a_request(tmp_path, browser):
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://example.invalid/x.png"><script>console.error("no"); oops();</script>')
    browser.open(page.as_uri())
    assert "http://example.invalid/x.png" in browser.requests
    assert any("oops is not defined" in error for error in browser.errors)
    assert any("no" in error for error in browser.errors)


def test_nothing_in_it_points_elsewhere(report):
    text = report.read_text(encoding="utf-8")
    assert re.findall(r"""(?:src|href)=["'](?!data:)([^"']*)""", text) == []
    assert not re.search(r"url\(|@import|https?://", text)


def test_it_tells_budget_settings_machine_failures_and_command(report):
    text = report.read_text(encoding="utf-8")
    for words in ("400 env steps per run", "2 seeds", "Machine and versions", "learning_rate", "failed: ValueError"):
        assert words in text
    assert ODD not in text
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in text
    command = re.search(r"Run it again</h2>\n<pre>(.*?)</pre>", text, re.DOTALL)
    assert command is not None
    assert command[1].startswith("hakisa compare --algorithms ppo a2c")


def test_pictures_lie_beside_it(report):
    sizes = {path.name: struct.unpack(">II", path.read_bytes()[16:24]) for path in report.parent.glob("*.png")}
    assert sizes == dict.fromkeys(("curves.png", "curves-seconds.png"), (1_600, 900))
