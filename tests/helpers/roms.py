"""Which games tests of console games run on: ours, and Street Fighter II where the user has the right ROM."""

from hakisa_envs.errors import MissingExtraError
from hakisa_envs.retro.errors import RomError
from hakisa_envs.retro.game_files import check_rom, imported
from hakisa_envs.retro.street_fighter.opponents import FIGHTER, STREET_FIGHTER


def users_rom_is_there():
    """Whether tests can run on the user's own ROM."""
    try:
        check_rom(imported(STREET_FIGHTER))
    except (RomError, MissingExtraError):
        return False
    return True


def games():
    """Names of the games that there are."""
    return [FIGHTER, *([STREET_FIGHTER] if users_rom_is_there() else [])]
