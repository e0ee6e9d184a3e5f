"""Pokémon on a Game Boy Advance, and Monsters, a game of ours that keeps its memory in the same places."""
