"""Every command, from the env to an X client that listens."""

from pathlib import Path

from Xlib import XK, X

from hakisa_envs.screen.env import ScreenGameEnv
from hakisa_envs.screen.game import Actions, GameProfile, Window

INPUT_MASK = (
    X.KeyPressMask | X.KeyReleaseMask | X.ButtonPressMask | X.ButtonReleaseMask | X.PointerMotionMask
)  # fmt: skip

EVERY_COMMAND = {
    ("noop", 0, 0): [],
    ("tap", 1, 0): [("down", "Left"), ("up", "Left")],
    ("hold", 1, 0): [("down", "Left")],
    ("hold_only", 2, 0): [("up", "Left"), ("down", "Right")],
    ("hold", 0, 0): [("down", "space")],
    ("release", 0, 0): [("up", "space")],
    ("release_all", 0, 0): [("up", "Right")],
    ("move", 3, 5): [("at", 35, 55)],
    ("left_click", 0, 23): [("at", 5, 235), ("down", 1), ("up", 1)],
    ("right_click", 31, 0): [("at", 315, 5), ("down", 3), ("up", 3)],
    ("move_by", 0, 1): [("at", 308, 12)],
    ("button_tap", 1, 0): [("down", 3), ("up", 3)],
    ("button_hold", 0, 0): [("down", 1)],
    ("button_release", 0, 0): [("up", 1)],
    ("wheel", 1, 0): [("down", 4), ("up", 4)],
    ("wheel", 0, 0): [("down", 5), ("up", 5)],
}  # in this order: what is held goes up again


def test_every_command_reaches_the_window_as_a_real_device_would(xserver, screen):
    window = screen.window(0, 0, 320, 240, title="every command")
    window.change_attributes(event_mask=INPUT_MASK)
    commands = tuple(dict.fromkeys(name for name, *_ in EVERY_COMMAND))
    keys = ("space", "Left", "Right")
    actions = Actions(commands=commands, keys=keys, grid=(32, 24), steps=(-7, 7), rate=10.0)
    env = ScreenGameEnv(
        GameProfile("every", Path(), Window("^every command$"), actions=actions), display=xserver, armed=True
    )
    env.reset()
    names = {screen.keycode(XK.string_to_keysym(key)): key for key in keys}
    for (command, first, second), expected in EVERY_COMMAND.items():
        screen.events()
        env.step([commands.index(command), first, second])
        info = env.step([commands.index("noop"), 0, 0])[4]  # a tap has ended then
        happened = []
        for event in screen.events():
            if event.type == X.MotionNotify:
                happened.append(("at", event.event_x, event.event_y))
            elif event.type in (X.KeyPress, X.KeyRelease, X.ButtonPress, X.ButtonRelease):
                verb = "down" if event.type in (X.KeyPress, X.ButtonPress) else "up"
                is_key = event.type in (X.KeyPress, X.KeyRelease)
                happened.append((verb, names[event.detail] if is_key else event.detail))
                assert not event.send_event
        assert happened == expected, command
        assert (info["refused"], info["dropped"]) == (0, 0)
    assert not screen.held()
    env.close()
    window.destroy()
