"""macOS as the portable back end sees it: Quartz and AppKit, which pynput brings."""
