"""Who an opponent is, by the number in memory."""

from __future__ import annotations

STREET_FIGHTER = "StreetFighterIISpecialChampionEdition-Genesis-v0"
FIGHTER = "HakisaFighter-Genesis-v0"

STYLES = ("passive", "turtle", "rusher", "zoner", "mixed")
STRENGTHS = ("easy", "normal", "hard")
# In the order of the game's selection. Ryu and Guile were read from the state that ships, the others are the field's.
_CHARACTERS = (
    "Ryu", "E. Honda", "Blanka", "Guile", "Ken", "Chun-Li", "Zangief", "Dhalsim", "Dictator", "Sagat", "Boxer", "Claw",
)  # fmt: skip


def opponent_name(game: str, character: int) -> str:
    """The opponent's name: ``"mixed normal"`` of the Fighter's, ``"Guile"`` of Street Fighter II's."""
    if game == FIGHTER:
        style, strength = character & 7, character >> 3
        if style < len(STYLES) and strength < len(STRENGTHS):
            return f"{STYLES[style]} {STRENGTHS[strength]}"
        return "player 2"
    return _CHARACTERS[character] if character < len(_CHARACTERS) else f"character {character}"
