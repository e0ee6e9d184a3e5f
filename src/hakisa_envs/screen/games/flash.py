"""A tiny X client to probe and test with: it shows at once what it was sent.

The upper half flips between dark and bright on each press of Space. Left and Right shorten and lengthen a red
bar, a click puts a green square where it hit, Escape ends the program.

Usage: flash.py [WIDTH HEIGHT]
"""

from __future__ import annotations

import sys

from Xlib import XK, X, Xutil, display  # type: ignore[import-untyped]

DARK, BRIGHT, RED, GREEN = 0x141414, 0xEBEBEB, 0xC81E1E, 0x1EC81E
BAR_STEP = 10  # of 100


def main() -> None:
    """Show the window and answer keys and clicks until Escape."""
    width, height = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (320, 240)
    connection = display.Display()
    screen = connection.screen()
    window = screen.root.create_window(
        0, 0, width, height, 0, screen.root_depth, background_pixel=0,
        event_mask=X.KeyPressMask | X.ButtonPressMask | X.ExposureMask,
    )  # fmt: skip
    window.set_wm_name("Hakisa flash")
    window.set_wm_normal_hints(flags=Xutil.PPosition | Xutil.PSize)
    window.map()
    pen = window.create_gc()
    names = {name: XK.string_to_keysym(name) for name in ("space", "Left", "Right", "Escape")}
    keys = {connection.keysym_to_keycode(keysym): name for name, keysym in names.items()}
    bright, bar = False, 100

    def fill(colour: int, x: int, y: int, w: int, h: int) -> None:
        pen.change(foreground=colour)
        window.fill_rectangle(pen, x, y, w, h)

    while True:
        event = connection.next_event()
        if event.type == X.ButtonPress and event.detail == 1:
            fill(GREEN, event.event_x - 4, event.event_y - 4, 8, 8)
        elif event.type == X.KeyPress:
            name = keys.get(event.detail)
            if name == "Escape":
                return
            bright ^= name == "space"
            bar += BAR_STEP * ((name == "Right") - (name == "Left"))
            bar = max(0, min(100, bar))
        if event.type == X.Expose or event.type == X.KeyPress:
            fill(BRIGHT if bright else DARK, 0, 0, width, height // 2)
            fill(0, 0, height * 5 // 6, width, height // 6)
            fill(RED, 0, height * 5 // 6, width * bar // 100, height // 12)
        connection.flush()


if __name__ == "__main__":
    main()
