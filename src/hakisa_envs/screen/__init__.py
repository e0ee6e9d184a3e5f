"""Live desktop games as Gymnasium environments. Importing this package touches no display."""

from hakisa_envs.screen.errors import Killed, ProfileError, ScreenError

__all__ = ["Killed", "ProfileError", "ScreenError"]
