"""Programs that show windows as games do which tests have met; run by `python -c`, see test_game_windows.py."""

HEAD = """
import os, sys, time
from Xlib import X, Xatom, display
connection = display.Display()
root = connection.screen().root
atom = connection.intern_atom

def window(x, y, width, height, colour, title="", override=False, parent=None, mask=X.KeyPressMask | X.ButtonPressMask):
    made = (parent or root).create_window(x, y, width, height, 0, X.CopyFromParent, background_pixel=colour,
                                          override_redirect=override, event_mask=mask)
    if title:
        made.set_wm_name(title)
    return made

def show(made):
    made.map()
    connection.sync()
    return made

def serve(made, colours=(0xFFFFFF, 0x404040)):
    # Each press of a key or button is the next colour.
    count = 0
    while True:
        if connection.next_event().type in (X.KeyPress, X.ButtonPress):
            made.change_attributes(background_pixel=colours[count % len(colours)])
            made.clear_area()
            connection.flush()
            count += 1
"""

# SDL 1.2 fullscreen: the titled window stays black below an untitled one, in which the game is drawn.
FULLSCREEN = (
    HEAD
    + """
titled = show(window(0, 0, 320, 240, 0, "game"))
over = show(window(0, 0, 320, 240, 0, override=True))
inner = show(window(0, 0, 320, 240, 0x404040, parent=over))
over.configure(stack_mode=X.Above)
serve(inner)
"""
)

# The same on a display that is larger than the game, which is drawn in the middle; each press goes there, or back.
TOGGLED = (
    HEAD
    + """
titled, over = show(window(0, 0, 320, 240, 0, "game")), None
while True:
    if connection.next_event().type not in (X.KeyPress, X.ButtonPress):
        continue
    if over is None:
        over = show(window(0, 0, 640, 480, 0, override=True))
        inner = show(window(160, 120, 320, 240, 0x404040, parent=over))
        over.configure(stack_mode=X.Above)
        titled.change_attributes(background_pixel=0xFFFFFF)
        titled.clear_area()
    else:
        over.destroy()
        over = None
    connection.sync()
"""
)

# A launcher's window whose title fits, then the game's.
SPLASH = (
    HEAD
    + """
splash = show(window(50, 50, 100, 80, 0x00FF00, "game"))
time.sleep(0.4)
if "overlaps" not in sys.argv:
    splash.destroy()
    connection.sync()
    time.sleep(0.3)
main = show(window(0, 0, 320, 240, 0x404040, "game"))
if "overlaps" in sys.argv:
    time.sleep(0.2)
    splash.destroy()
    connection.sync()
serve(main)
"""
)

TYPED_SPLASH = (
    HEAD
    + """
splash = window(50, 50, 100, 80, 0x00FF00, "game")
splash.change_property(atom("_NET_WM_WINDOW_TYPE"), Xatom.ATOM, 32, [atom("_NET_WM_WINDOW_TYPE_SPLASH")])
show(splash)
time.sleep(0.4)
serve(show(window(0, 0, 320, 240, 0x404040, "game")))
"""
)

# Closes its window at the first press, and makes another, as many do for another mode.
REMADE = (
    HEAD
    + """
size = [int(word) for word in sys.argv[1:]] or [320, 240]
first = show(window(0, 0, 320, 240, 0x404040, "game"))
while connection.next_event().type != X.KeyPress:
    pass
first.destroy()
connection.sync()
time.sleep(0.1)
serve(show(window(0, 0, *size, 0x404040, "game")), (0x404040, 0xFFFFFF))
"""
)

BLACK = (
    HEAD
    + """
serve(show(window(0, 0, 320, 240, 0, "game")), (0xFFFFFF, 0))
"""
)

PLAIN = (
    HEAD
    + """
serve(show(window(0, 0, *[int(word) for word in sys.argv[1:]] or [320, 240], 0x404040, "game")))
"""
)
