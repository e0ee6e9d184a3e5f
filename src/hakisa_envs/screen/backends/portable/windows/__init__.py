"""Windows as the portable back end sees it: user32 and kernel32, through ctypes."""
