"""What can be wrong with a console game. Messages name the thing, the rule and what to do."""


class RetroError(RuntimeError):
    """A game on an emulated console cannot be played as asked."""


class RomError(RetroError):
    """The game's ROM is missing, or is not the one that its data describes."""


class StateError(RetroError):
    """A state must not be loaded into this game."""


class MovieError(RetroError):
    """A file is no movie of this game."""


class EmulatorDiedError(RetroError):
    """The process with the emulator ended."""


class EmulatorInUseError(RetroError):
    """This process has an emulator already, and a core allows one for each process."""
