"""A red dot on the display while a person's input is recorded, so that nobody is recorded without seeing it."""

from __future__ import annotations

from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.region import Region

TITLE = "hakisa: recording"
SIZE, MARGIN = 24, 8  # pixels
RED, BLACK = 0xE01B24, 0x000000  # of a display with 24 bits a pixel


class RecordingSign:
    """A dot in a corner of the screen, beside the game and above everything else. It takes no clicks and no focus.

    It ends with this process, however that ends: the X server removes the windows of a client that has gone.

    Args:
        display: Name of the display.

    Attributes:
        beside: Where the game was when it was last shown.

    Raises:
        Exception: Whatever python-xlib raises when the display cannot be opened.
    """

    def __init__(self, display: str) -> None:
        x = import_extra("Xlib.X", extra="screen", needed_by="a live game")
        shape = import_extra("Xlib.ext.shape", extra="screen", needed_by="a live game")
        self._connection: Any = import_extra("Xlib.display", extra="screen", needed_by="a live game").Display(display)
        self._connection.set_error_handler(lambda *details: None)
        screen = self._connection.screen()
        dot = screen.root.create_pixmap(SIZE, SIZE, screen.root_depth)
        pen = dot.create_gc(foreground=BLACK)
        dot.fill_rectangle(pen, 0, 0, SIZE, SIZE)
        pen.change(foreground=RED)
        dot.fill_arc(pen, 4, 4, SIZE - 8, SIZE - 8, 0, 360 * 64)
        # With a picture as its background the X server itself draws it anew.
        self._window: Any = screen.root.create_window(
            0, 0, SIZE, SIZE, 0, screen.root_depth, override_redirect=True, background_pixmap=dot
        )
        self._window.set_wm_name(TITLE)
        self._window.shape_rectangles(shape.SO.Set, shape.SK.Input, x.YXBanded, 0, 0, [])
        self.beside: Region | None = None
        self._connection.sync()

    def show(self, game: Region) -> bool:
        """Show it above all windows, beside the game, whose place on the screen is given; False if there is no room."""
        self.beside = game
        place = self._place(game)
        if place is None:
            self._window.unmap()
        else:
            self._window.configure(x=place.left, y=place.top)
            self._window.map()
            self._window.raise_window()
        self._connection.sync()
        return place is not None

    def close(self) -> None:
        """Remove it; may be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _place(self, game: Region) -> Region | None:
        root = self._connection.screen().root.get_geometry()
        lefts, tops = (root.width - SIZE - MARGIN, MARGIN), (MARGIN, root.height - SIZE - MARGIN)
        corners = (Region(left, top, SIZE, SIZE) for top in tops for left in lefts)
        return next((corner for corner in corners if corner.intersect(game) is None), None)
