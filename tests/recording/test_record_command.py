"""From the command line: what is recorded is reviewed, studied, measured and reported, of envs and of live games."""

import os
import random
import shutil
import stat

import pytest

from hakisa_algos.cli.main import main
from hakisa_algos.stages import record as record_module
from hakisa_algos.stages.recording import Recording
from hakisa_algos.stages.review import Statistics
from hakisa_algos.stages.window import Window

from .test_listener import LEFT, Person
from .test_record_env import key

GAMES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/games", "/usr/local/games"])
RIGHT = 0xFF53
FEW = ("--delay", "0", "--config.total-steps", "4", "--config.update-steps", "2", "--config.batch-size", "16")


@pytest.fixture
def presses(monkeypatch):
    """Keys that go down and up by turns in whatever window is played in, each for three steps."""
    keys, waits, wait = [], [], Window.wait

    def watched(self, until, pictures=()):
        turn, step = divmod(len(waits), 3)
        if not step:
            for name in keys:
                key(name, down=name == keys[turn % len(keys)])
        waits.append(turn)
        return wait(self, until, pictures)

    monkeypatch.setattr(Window, "wait", watched)
    return keys.extend


def goes_through(recording, tmp_path, capsys, *env, agent=("num_envs=1", "network=small")):
    """Review, study, eval and report; returns both pages."""
    assert main(["review", str(recording)]) == 0
    clone = tmp_path / "clone"
    assert main(["study", str(recording), "--run", str(clone), *FEW, "--agent", *agent]) == 0
    assert "of held-out actions are the player's own" in capsys.readouterr().out
    assert main(["eval", str(clone), "--episodes", "1", "--max-steps", "10", "--no-stochastic", *env]) == 0
    assert main(["report", str(clone)]) == 0
    return (recording / "review.html").read_text(), (clone / "report.html").read_text()


def test_an_env_whose_keys_are_said(tmp_path, presses, capsys, monkeypatch):
    presses(["left", "right"])
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    keys = ("--keys", "none=0", "left=0", "right=1")
    assert main(["record", "CartPole-v1", *keys, "--episodes", "2", "--rate", "500", "--seed", "0"]) == 0
    said = capsys.readouterr().out
    assert "keys: left, right" in said
    (folder,) = (tmp_path / "hakisa" / "recordings").iterdir()
    assert folder.name.startswith("CartPole-v1-")
    assert f"hakisa study {folder} --for ppo" in said
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    recording = Recording.open(folder)
    assert len(recording.episodes) == 2
    assert set(Statistics.of(recording).commands) == {"0", "1"}
    review, report = goes_through(folder, tmp_path, capsys, agent=("num_envs=1", "hidden_sizes=[16]"))
    assert review.count("<section") == 2
    assert "<h2>Cloning" in report


def test_the_fighter_whose_actions_have_names(tmp_path, presses, capsys):
    pytest.importorskip("stable_retro")
    presses(["left", "right", "a"])
    folder = tmp_path / "fight"
    small = ("--env-options", "frame_size=42")
    assert main(["record", "Hakisa/Fighter-v0", "--minutes", "0.05", "--rate", "60", "--to", str(folder), *small]) == 0
    assert "Recorded" in capsys.readouterr().out
    assert {"LEFT", "RIGHT", "X"} <= set(Statistics.of(Recording.open(folder)).commands)
    review, report = goes_through(folder, tmp_path, capsys)
    assert "<title>LEFT</title>" in review
    assert "<th>LEFT</th>" in report


@pytest.mark.parametrize("actions", ["heads", "buttons"])
def test_actions_of_parts_have_no_keys_of_their_own(actions, capsys, tmp_path):
    pytest.importorskip("stable_retro")
    asked = ["record", "Hakisa/Fighter-v0", "--env-options", f"actions={actions}", "--to", str(tmp_path / "fight")]
    assert main(asked) == 2
    assert "what each key does must be said" in capsys.readouterr().err


def test_what_cannot_be_is_said(capsys, tmp_path):
    for words, why in (
        (["--minutes", "0"], "must be more than 0"),
        (["--episodes", "0"], "must be at least 1"),
        (["--keys", "none=0", "left=7"], "is no action of this env"),
    ):
        assert main(["record", "CartPole-v1", "--to", str(tmp_path / "r"), *words]) == 2
        assert why in capsys.readouterr().err


class Player:
    """A person at a live game, who does something at every step of it."""

    def __init__(self, env):
        self.env, self.person, self.step = env, None, 0

    def __call__(self):
        if self.env.view is not None and self.env.session is not None:
            self.person = self.person or Person(self.env.session.display.name)
            window = self.env.view.window.region
            self.act(self.step, window.left, window.top)
            self.step += 1
        return False


class Paddle(Player):
    """To the left, to the right, and then nothing."""

    def act(self, step, left, top):
        for first, last, keysym in ((0, 5, LEFT), (5, 10, RIGHT)):
            if step in (first, last):
                self.person.key(keysym, step == first)


class Seesaw(Player):
    """At two places, and then where no clown falls."""

    def act(self, step, left, top):
        self.person.move(left + {0: 100, 1: 400}.get(step // 5, 630), top + 300)


class Digger(Player):
    """Puts flags on five cells, and then opens others at random until there is a mine."""

    cells = random.Random(0)

    def act(self, step, left, top):
        if step % 3 == 0:
            column, row = self.cells.randrange(12), self.cells.randrange(12)
            self.person.move(left + 15 + 21 * column + 10, top + 80 + 21 * row + 10)
            for down in (True, False):
                self.person.button(3 if step < 15 else 1, down)


@pytest.mark.parametrize(
    ("game", "player", "commands", "places", "head"),
    [
        ("lbreakout2", Paddle, {"hold_only Left", "hold_only Right", "release_all"}, set(), "command"),
        ("circuslinux", Seesaw, {"noop", "move"}, {"move"}, "command"),
        ("xdemineur", Digger, {"left_click", "right_click"}, {"left_click", "right_click"}, "argument_2"),
    ],
)
def test_a_live_game(game, player, commands, places, head, tmp_path, capsys, monkeypatch):
    if shutil.which(game, path=GAMES) is None:
        pytest.skip(f"needs {game} (scripts/system-packages.sh)")
    record, played = record_module.record, []

    def plays(env, folder, **options):
        played.append(player(env))
        return record(env, folder, **options, stop=played[0])

    monkeypatch.setattr(record_module, "record", plays)
    folder = tmp_path / game
    try:
        asked = ["record", game, "--display", "xvfb", "--episodes", "1", "--to", str(folder), "--video"]
        assert main(asked) == 0
    finally:
        for one in played:
            if one.person is not None:
                one.person.close()
    said = capsys.readouterr().out
    assert f"recording {game} on display :" in said
    assert "of 1 episodes (enough episodes)" in said
    assert (folder / "video.mp4").stat().st_size > 1000
    statistics = Statistics.of(Recording.open(folder))
    assert set(statistics.commands) == commands
    assert set(statistics.places) == places
    options = ("--env", "Hakisa/ScreenGame-v0", "--env-options", f"game={game}")
    review, report = goes_through(folder, tmp_path, capsys, *options)
    assert all(f"<title>{label}" in review for label in commands)
    assert ("places, argument 1" in review) == bool(places)
    assert f"<h3>{head}: what was done, and what the agent says</h3>" in report
