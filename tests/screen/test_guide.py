"""docs/your-own-game.md, followed to the letter with a tiny program of a stranger's."""

import re
import shlex
import shutil
from importlib import resources
from pathlib import Path

import cv2
import pytest

from hakisa_algos.cli.main import main
from hakisa_envs.screen.env import ScreenGameEnv

GUIDE = (Path(__file__).parents[2] / "docs" / "your-own-game.md").read_text(encoding="utf-8")
PROGRAM = Path(__file__).with_name("guide_game.py")
COMMAND = 'command = ["mygame", "--windowed"]'


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


def lines_of(verb):
    """The lines with ``hakisa verb mygame.toml`` that need no desktop, without their comments."""
    lines = [line.split("#")[0].strip() for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(f"hakisa {verb} mygame.toml") and "nested" not in line]


def profile(count):
    """What the file holds after so many blocks of the guide."""
    text = "\n".join(blocks("toml")[:count])
    assert COMMAND in text
    return text.replace(COMMAND, f'command = ["{{python}}", "{PROGRAM}", "--windowed"]')


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stranger_gets_to_a_game_that_can_be_trained(home, capsys):
    file = home / "mygame.toml"

    first, film, later = lines_of("watch")
    file.write_text(profile(1))
    assert main(shlex.split(first)[1:]) == 0
    assert cv2.imread("shot.png").shape == (600, 800, 3)

    file.write_text(profile(2))
    assert main(shlex.split(later)[1:]) == 0
    over = cv2.imread("over.png")
    assert over[260, 310].tolist() == [0, 255, 255]
    cv2.imwrite("game_over.png", over[250:350, 300:500])  # cut out with an image viewer
    digits = resources.files("hakisa_envs.screen") / "games" / "lbreakout2" / "digits.txt"
    shutil.copy(str(digits), "digits.txt")

    file.write_text(profile(len(blocks("toml"))))
    env = ScreenGameEnv("mygame.toml")
    _, info = env.reset()
    tap_space = [env.profile.actions.commands.index("tap"), env.profile.actions.keys.index("space"), 0]
    assert env.describe(tap_space) == "press space for 50 ms"
    assert info["readings"]["health"] > 0.9
    assert info["readings"]["game_over"] == 0.0
    score, paid, terminated = info["readings"]["score"], 0.0, False
    while not terminated:
        _, _, terminated, truncated, info = env.step(tap_space)
        assert not truncated
        paid += info["reward_parts"]["score"]
        score = info["readings"]["score"] or score
    assert paid == pytest.approx(0.01 * score)
    assert score >= 100
    assert env.reset()[1]["readings"]["health"] > 0.9
    env.close()

    assert len(lines_of("probe")) == 1
    for line in (film, *lines_of("probe")):
        short = ["--steps", "6"] if "probe" in line else ["--seconds", "0.4"]
        assert main([*shlex.split(line)[1:], *short]) == 0
    assert (home / "mygame.mp4").stat().st_size > 1000
    said = capsys.readouterr().out
    assert "env overhead per step" in said
    assert "What is pressed shows" in said or "The game: what is pressed shows" in said
