"""What python-xlib is asked of one window, whoever asks. All raise its XError if the window has just gone."""

from __future__ import annotations

from typing import Any

from hakisa_envs.errors import import_extra
from hakisa_envs.screen.region import Region
from hakisa_envs.screen.titles import decode_title

DEPTH = 4  # window managers put one or two frames round a window


def title_of(connection: Any, window: Any) -> str:
    """Its title, empty if it has none."""
    for name in ("_NET_WM_NAME", "WM_NAME"):
        found = window.get_full_property(connection.get_atom(name), _x().AnyPropertyType)
        if found is not None and found.format == 8 and found.value:
            return decode_title(bytes(found.value), found.property_type == connection.get_atom("COMPOUND_TEXT"))
    return ""


def pid_of(connection: Any, window: Any) -> int | None:
    """The process that made it: as the X server knows it, or if it does not tell, as the window says."""
    resources = import_extra("Xlib.ext.res", extra="screen", needed_by="a live game")
    if connection.has_extension(resources.extname):
        spec = {"client": window.id, "mask": resources.LocalClientPIDMask}
        known = connection.res_query_client_ids([spec]).ids
        return int(known[0].value[0]) if known and known[0].value else None
    said = window.get_full_property(connection.get_atom("_NET_WM_PID"), _x().AnyPropertyType)
    return int(said.value[0]) if said else None


def area_of(window: Any) -> Region | None:
    """Where one that lies directly on the screen is, with its border; None if there is nothing of it to be seen."""
    x, attributes = _x(), window.get_attributes()
    if attributes.map_state != x.IsViewable or attributes.win_class != x.InputOutput:
        return None
    area = window.get_geometry()
    border = 2 * area.border_width
    return Region(area.x, area.y, area.width + border, area.height + border)


def top_of(connection: Any, window: Any) -> Any:
    """The one that holds it directly on the screen: a frame of the manager's, or itself."""
    while (parent := window.query_tree().parent) not in (_x().NONE, connection.screen().root):
        window = parent
    return window


def is_in(connection: Any, inner: Any, window: Any) -> bool:
    """Whether one is a window or lies in it; ``inner`` may be none, as what has the focus may be."""
    while inner not in (_x().NONE, _x().PointerRoot, connection.screen().root):
        if inner.id == window.id:
            return True
        inner = inner.query_tree().parent
    return False


def of_one_client(connection: Any, first: Any, second: Any) -> bool:
    """Whether one program made both, over one connection: the bits that it may choose itself are all that differs."""
    return not (first.id ^ second.id) & ~connection.display.info.resource_id_mask


def ask_manager(connection: Any, window: Any, request: str, *data: int) -> bool:
    """Ask the window manager for something, as its messages on the root do it; False if there is none that knows it."""
    x, root, atom = _x(), connection.screen().root, connection.get_atom(request)
    supported = root.get_full_property(connection.get_atom("_NET_SUPPORTED"), x.AnyPropertyType)
    if supported is None or atom not in supported.value:
        return False
    protocol = import_extra("Xlib.protocol.event", extra="screen", needed_by="a live game")
    words = [*data, 0, 0, 0, 0, 0][:5]
    event = protocol.ClientMessage(window=window, client_type=atom, data=(32, words))
    root.send_event(event, event_mask=x.SubstructureRedirectMask | x.SubstructureNotifyMask)
    return True


def unmaximise(connection: Any, window: Any) -> None:
    """Let it have a size of its own again: a window manager keeps one that is maximised as large as the screen."""
    states = [connection.get_atom(f"_NET_WM_STATE_MAXIMIZED_{way}") for way in ("VERT", "HORZ")]
    ask_manager(connection, window, "_NET_WM_STATE", 0, *states)  # 0: no longer


def _x() -> Any:
    return import_extra("Xlib.X", extra="screen", needed_by="a live game")
