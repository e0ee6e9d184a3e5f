"""Which games tests of console games run on: ours, and the real ones where the user has the right ROMs."""

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.retro.errors import RomError
from hakisa_envs.retro.find import imported
from hakisa_envs.retro.game_files import check_rom
from hakisa_envs.retro.pokemon.game import EMERALD, MONSTERS
from hakisa_envs.retro.street_fighter.opponents import FIGHTER, STREET_FIGHTER


def users_rom_is_there(game=STREET_FIGHTER):
    """Whether tests can run on the user's own ROM."""
    try:
        check_rom(imported(game))
    except (RomError, MissingExtraError):
        return False
    return True


def games():
    """Names of the games that there are."""
    return [FIGHTER, *([STREET_FIGHTER] if users_rom_is_there() else [])]


def journeys():
    """Names of the games with monsters; the user's own needs a start state, too."""
    there = users_rom_is_there(EMERALD) and imported(EMERALD).default_state in imported(EMERALD).state_names()
    return [MONSTERS, *([EMERALD] if there else [])]
