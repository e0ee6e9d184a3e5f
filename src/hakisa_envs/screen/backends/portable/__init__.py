"""The back end of mss and pynput, for Windows, macOS, and X11 if it is asked for."""
