"""The game of docs/your-own-game.md: a menu, a health bar, a score in digits, a lamp, and an end. See test_guide.py."""

import select

from Xlib import XK, X
from Xlib.display import Display

from hakisa_envs.screen.profile import load_profile

FRAME_S = 1 / 60
HARM = 0.004  # of the health, per frame
MENU = (350, 280, 100, 40)
OVER = ((300, 250, 200, 100, 0xFFFF00), (320, 270, 20, 60, 0x000000), (400, 270, 30, 60, 0x0000FF))
DIGITS = next(reading.reader for reading in load_profile("lbreakout2").readings if reading.name == "score")._pictures


class Game:
    """Draws one window and does what the keyboard and the mouse say."""

    def __init__(self):
        self.display = Display()
        screen = self.display.screen()
        mask = X.KeyPressMask | X.ButtonPressMask | X.ExposureMask
        self.window = screen.root.create_window(0, 0, 800, 600, 0, screen.root_depth, event_mask=mask)
        self.window.set_wm_name("My Game 1.0")
        self.pen = self.window.create_gc()
        self.window.map()
        self.state, self.health, self.score, self.lamp = "menu", 1.0, 0, False
        self.keys = {
            self.display.keysym_to_keycode(XK.XK_Return): "Return",
            self.display.keysym_to_keycode(32): "space",
        }

    def fill(self, left, top, width, height, colour):
        self.pen.change(foreground=colour)
        self.window.fill_rectangle(self.pen, left, top, width, height)

    def draw(self):
        self.fill(0, 0, 800, 600, 0x203040)
        if self.state == "menu":
            self.fill(*MENU, 0x00FF00)
        elif self.state == "over":
            for part in OVER:
                self.fill(*part)
        else:
            self.fill(20, 10, 200, 8, 0x404040)
            self.fill(20, 10, max(1, round(200 * self.health)), 8, 0xFF2020)
            self.fill(300, 550, 200, 40, 0xFFFFFF if self.lamp else 0x101010)
            for place, digit in enumerate(reversed(str(self.score))):
                for row, line in enumerate(DIGITS[int(digit)]):
                    for column in line.nonzero()[0]:
                        self.fill(764 - 8 * (place + 1) + int(column), 5 + row, 1, 1, 0xFFFF00)
        self.display.flush()

    def hear(self, event):
        left, top, width, height = MENU
        if event.type == X.ButtonPress and self.state == "menu":
            if 0 <= event.event_x - left < width and 0 <= event.event_y - top < height:
                self.state = "play"
        elif event.type == X.KeyPress and self.keys.get(event.detail) == "Return" and self.state == "over":
            self.state, self.health, self.score = "play", 1.0, 0
        elif event.type == X.KeyPress and self.keys.get(event.detail) == "space":
            self.lamp, self.score = not self.lamp, self.score + 10

    def run(self):
        while True:
            select.select([self.display.fileno()], [], [], FRAME_S)
            while self.display.pending_events():
                self.hear(self.display.next_event())
            if self.state == "play":
                self.health -= HARM
                self.state = "over" if self.health <= 0 else "play"
            self.draw()


if __name__ == "__main__":
    Game().run()
