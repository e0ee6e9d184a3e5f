"""Records the start states of Monsters: python record_states.py

"start" is a new game; the others are milestones of a journey to the third badge.
"""

from walker import Walker, journey

from hakisa_envs.retro.emulator import Emulator
from hakisa_envs.retro.game_files import homebrew

START_UP_FRAMES = 60


def main() -> None:
    with Emulator(homebrew("HakisaMonsters-GbAdvance-v0")) as emulator:
        for _ in range(START_UP_FRAMES):
            emulator.advance()
        walker = Walker(emulator)
        emulator.save(emulator.files.states / "start.state")
        for milestone in journey(walker):
            emulator.save(emulator.files.states / f"{milestone}.state")
            print(f"{milestone:10} {walker.tiles:4} tiles {walker.decisions:5} decisions")


if __name__ == "__main__":
    main()
