"""Which key somebody meant by a name that X does not have: what browsers, libraries and people call them."""

from __future__ import annotations

import difflib
import functools
import re

from hakisa_envs.screen.input.keysyms import character_keysyms, names

# All written small and without "_", "-" and spaces.
PREFIXES = ("key.", "k_", "vk_", "keysym.", "xk_", "key_", "scancode_")
SIDE, MODIFIER = "left|right|l|r", "shift|control|ctrl|alt|option|super|win|windows|cmd|command|meta|os|gui|hyper"
MODIFIERS = {"shift": "Shift", "control": "Control", "ctrl": "Control", "alt": "Alt", "option": "Alt"}  # else Super
SIDED = re.compile(rf"(?P<before>{SIDE})?(?P<key>{MODIFIER})(?P<after>{SIDE})?(key)?")
KEYPAD = re.compile(r"(?:kp|keypad|numpad|num|np)(?P<key>.+)")
ON_KEYPAD = {
    "+": "Add", "plus": "Add", "add": "Add", "-": "Subtract", "minus": "Subtract", "subtract": "Subtract",
    "*": "Multiply", "asterisk": "Multiply", "star": "Multiply", "multiply": "Multiply", "/": "Divide",
    "slash": "Divide", "divide": "Divide", ".": "Decimal", "dot": "Decimal", "period": "Decimal",
    "decimal": "Decimal", ",": "Separator", "comma": "Separator", "=": "Equal", "equal": "Equal", "equals": "Equal",
    "enter": "Enter", "return": "Enter", "del": "Delete", "ins": "Insert", "pgup": "Prior", "pageup": "Prior",
    "pgdn": "Next", "pagedown": "Next",
}  # fmt: skip
ALIASES = {
    "enter": "Return", "cr": "Return", "lf": "Return", "newline": "Return", "linebreak": "Return", "\r": "Return",
    "\u23ce": "Return", "\u21b5": "Return", "esc": "Escape", "spacebar": "space", "blank": "space", "bksp": "BackSpace",
    "bs": "BackSpace", "\u232b": "BackSpace", "del": "Delete", "ins": "Insert", "pgup": "Page_Up", "pgdn": "Page_Down",
    "pgdown": "Page_Down", "prior": "Page_Up", "next": "Page_Down", "pos1": "Home", "altgr": "ISO_Level3_Shift",
    "altgraph": "ISO_Level3_Shift", "mode": "ISO_Level3_Shift", "caps": "Caps_Lock", "capital": "Caps_Lock",
    "scroll": "Scroll_Lock", "scrollock": "Scroll_Lock", "compose": "Multi_key", "dash": "minus", "hyphen": "minus",
    "dot": "period", "fullstop": "period", "point": "period", "backquote": "grave", "backtick": "grave",
    "tilde": "asciitilde", "caret": "asciicircum", "circumflex": "asciicircum", "quote": "apostrophe",
    "singlequote": "apostrophe", "doublequote": "quotedbl", "equals": "equal", "hash": "numbersign",
    "pound": "numbersign", "pipe": "bar", "star": "asterisk", "bang": "exclam", "exclamation": "exclam",
    "leftbracket": "bracketleft", "rightbracket": "bracketright", "leftbrace": "braceleft",
    "rightbrace": "braceright", "leftparen": "parenleft", "lparen": "parenleft", "rightparen": "parenright",
    "rparen": "parenright", "intlbackslash": "less", "102nd": "less", "euro": "EuroSign", "\u2190": "Left",
    "\u2191": "Up", "\u2192": "Right", "\u2193": "Down", "printscreen": "Print", "prtsc": "Print", "prtscr": "Print",
    "prtscn": "Print", "prntscrn": "Print", "prntscr": "Print", "snapshot": "Print", "sysrq": "Sys_Req",
    "contextmenu": "Menu", "apps": "Menu", "application": "Menu", "add": "KP_Add", "subtract": "KP_Subtract",
    "multiply": "KP_Multiply", "divide": "KP_Divide", "decimal": "KP_Decimal",
}  # fmt: skip
NO_KEYS = {0x8, 0x9, 0xA, 0xB, 0xFD}  # sets of signs for drawing, printing, APL and terminals, by their number
NEAR = 0.75  # how like a name must be that may have been mistyped


def meant(name: str) -> str | None:
    """The name of the key that somebody most likely meant; it may be one that must not be pressed."""
    if name in ALIASES:
        return ALIASES[name]
    if len(name) == 1:
        values = set(character_keysyms(name))
        return next((known for known, value in names().items() if value in values), None)
    plain = name.lower()
    for prefix in PREFIXES:
        plain = plain.removeprefix(prefix)
    plain = re.sub(r"[_\s]|(?<=\w)-(?=\w)", "", plain)
    if plain[:-1] in ("", "key", "digit") and plain[-1:].isalnum():  # KeyA, Digit1
        return plain[-1]
    if re.fullmatch(r"f\d+", plain) and plain.capitalize() not in names():  # F36 is no F6
        return None
    if sided := SIDED.fullmatch(plain):
        right = (sided["before"] or sided["after"] or "l").startswith("r")
        return f"{MODIFIERS.get(sided['key'], 'Super')}_{'R' if right else 'L'}"
    words = _words()
    if keypad := KEYPAD.fullmatch(plain):
        key = f"KP_{ON_KEYPAD.get(keypad['key'], keypad['key'].capitalize())}"
        if key in names():
            return key
    bare = re.sub(r"^(arrow|cursor)|(arrow|cursor|key)$", "", plain)
    for word in (bare, plain):
        if known := ALIASES.get(word) or words.get(word):
            return known
    near = difflib.get_close_matches(plain, [*words, *ALIASES], n=1, cutoff=NEAR)
    return ALIASES.get(near[0]) or words[near[0]] if near else None


@functools.cache
def _words() -> dict[str, str]:
    """The names of keys as they may be written, small and in one word."""
    words: dict[str, str] = {}
    for known, value in reversed(names().items()):  # the usual ones come last, and small letters before capital ones
        word = known.lower().replace("_", "")
        capitals = sum(map(str.isupper, known))
        if value >> 8 not in NO_KEYS and capitals <= sum(map(str.isupper, words.get(word, known))):
            words[word] = known
    return words
