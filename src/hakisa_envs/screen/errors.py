"""What can go wrong between an agent and a live game, each with a name of its own."""

from __future__ import annotations


class ScreenError(RuntimeError):
    """Anything that went wrong with a live game; the message says what was seen and what to do."""


class PlatformError(ScreenError):
    """Nobody has tried live games on this operating system."""


class ProcessError(ScreenError):
    """A process that the env launched could not be started, or its keeper is gone."""


class DisplayError(ScreenError):
    """The X display cannot be opened, started or reached any more."""


class CaptureError(ScreenError):
    """The screen could not be grabbed, or not in time."""


class WindowError(ScreenError):
    """The game's window is not there, or not as the profile says."""


class InputError(ScreenError):
    """The input server did not answer, died, or was asked for something it must not do.

    Attributes:
        key: The key that cannot be pressed, if it is one.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class ResetError(ScreenError):
    """The reset script did not reach its end; the message names the step and a saved screenshot."""


class ReaderError(ScreenError):
    """A reader raised; the message names it, and the cause is attached."""


class Killed(ScreenError):
    """Somebody pressed Ctrl+Shift+F12: everything was released and nothing is pressed any more.

    Attributes:
        stop_training: True: a trainer that meets this error is to stop, and not to fail.
    """

    stop_training = True


class ProfileError(ValueError):
    """A game profile breaks a rule; the message gives file, field, value, rule and a suggestion."""
