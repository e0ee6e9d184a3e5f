"""Every example runs as it stands, with a tiny budget and warnings as errors."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "action_masks": "masks are obeyed: True",
    "cartpole": "a pole that leans to the right: push",
    "cross_entropy": "cross-entropy method on CartPole:",
    "custom_network": "saved, loaded and evaluated again:",
    "fighter_sb3": "SB3's PPO on the Fighter, 512 steps: ",
    "memory": "memory=lstm: ",
    "monsters": "two badges, from the true start: ",
    "monsters_sb3": "SB3's PPO on Monsters, 512 steps: ",
    "live_game": "the screen then read {'flash': ",
    "live_sb3": "SB3's PPO on live games: 256 steps",
    "new_profile": "(6, 48, 64), ",
    "own_rom": "a match against ",
    "plain_loop": "seeing (4, 42, 42) uint8",
    "press": "ConditionalMultiDiscrete([3, 12, 12]",
    "sb3_ppo": "SB3's PPO on Press:",
    "teacher": "the clone: ",
}


STEPS = {"live_game": "40", "live_sb3": "256", "new_profile": "100"}  # these run in real time
# What would take minutes.
SHORTER = {"monsters": ("--envs", "2", "--episodes", "1", "--longest", "20"), "monsters_sb3": ("--look", "20")}


def run(name, *arguments, folder=None):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_example(name, tmp_path):
    if name in STEPS and shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (scripts/system-packages.sh)")
    assert SAYS[name] in run(name, "--steps", STEPS.get(name, "512"), *SHORTER.get(name, ()), folder=tmp_path)


def test_a_plugged_in_algorithm_has_the_whole_command_line(tmp_path):
    """Trained, resumed and evaluated, the same as if it had not been interrupted."""
    shape = ("--env", "CartPole-v1", "--config.rows", "50")
    run("cross_entropy", "train", "cem", *shape, "--total-steps", "1600", "--run", "whole", folder=tmp_path)
    run("cross_entropy", "train", "cem", *shape, "--total-steps", "800", "--run", "half", folder=tmp_path)
    assert "goes on at step 800" in run("cross_entropy", "resume", "half", "--total-steps", "1600", folder=tmp_path)
    said = [run("cross_entropy", "eval", name, "--episodes", "4", folder=tmp_path) for name in ("whole", "half")]
    assert said[0].replace("whole", "") == said[1].replace("half", "")
