"""Records the Fighter's start states: python record_states.py

Each is of the title screen's choice, as the first round is announced: STYLE.STRENGTH.SIDE, and "versus" for two
players. Chance in the game goes on with every frame, so whoever waits on the title screen meets opponents who decide
otherwise: python record_states.py --wait 1000 --into FOLDER
"""

import argparse
from pathlib import Path

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import homebrew

STYLES = ("passive", "turtle", "rusher", "zoner", "mixed")
STRENGTHS = ("easy", "normal", "hard")
SIDES = ("left", "right")
START_UP_FRAMES, INTRO_FRAMES = 60, 30


def press(emulator: Emulator, button: str, times: int = 1, player: int = 0) -> None:
    """Press and let go."""
    for _ in range(times):
        for held in ([button], []):
            emulator.hold(emulator.mask(held), player)
            emulator.advance()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", type=int, default=0, help="frames on the title screen; default: none")
    parser.add_argument("--into", type=Path, help="a folder; default: that of the states that are shipped")
    arguments = parser.parse_args()
    if arguments.wait < 0:
        parser.error(f"--wait {arguments.wait} must be 0 frames or more")

    with Emulator(homebrew("HakisaFighter-Genesis-v0")) as emulator:
        folder = arguments.into or emulator.files.states
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(START_UP_FRAMES + arguments.wait):
            emulator.advance()
        title = emulator.get_state()  # "mixed", "normal" and "left" are chosen

        def begin(name: str, player: int = 0) -> None:
            press(emulator, "START", player=player)
            for _ in range(INTRO_FRAMES):
                emulator.advance()
            emulator.save(folder / f"{name}.state")
            emulator.set_state(title)

        for style in range(len(STYLES)):
            for strength in range(len(STRENGTHS)):
                for side in range(len(SIDES)):
                    press(emulator, "RIGHT", style + 1)
                    if strength != 1:
                        press(emulator, "UP" if strength == 2 else "DOWN")
                    press(emulator, "B", side)
                    begin(f"{STYLES[style]}.{STRENGTHS[strength]}.{SIDES[side]}")
        begin("versus", player=1)


if __name__ == "__main__":
    main()
