"""The parameter by which tests that are not about X itself run on both back ends: the fixtures "where", "on_desktop".

On the portable one a game plays on the desktop, which is an Xvfb of the test's. Tests are X11's alone where they are
about displays that the env starts (the portable one starts none), several games at once (its games share the focus), or
what only X tells: layouts that change, grabs, pings, frames of a window manager, fullscreen windows without a title.
"""

import pytest

BACKENDS = ["x11", pytest.param("portable", marks=pytest.mark.module("pynput"))]


def portable_too(*values):
    """A set of parameters, the last of them "where", for the portable back end: of many, one of a kind is enough."""
    return pytest.param(*values, "portable", marks=BACKENDS[1].marks)


def on(backend):
    """Options of an env that plays on a back end, armed: with x11 on a display of its own, else on the desktop."""
    return {"backend": backend, "display": "current", "armed": True} if backend == "portable" else {}


def arguments(where):
    """The same for a command."""
    return ["--backend", where["backend"], "--display", where["display"], "--arm"] if where else []
