"""Keyboard and mouse, pressed by a process of their own so that nothing stays down when the trainer dies."""
