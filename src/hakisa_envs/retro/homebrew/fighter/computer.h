/* The computer's fighter: a pad, pressed by what it saw some frames ago. It never reads the other pad. */
#ifndef COMPUTER_H
#define COMPUTER_H

#include "ram.h"

enum { PASSIVE, TURTLE, RUSHER, ZONER, MIXED, STYLES };
enum { EASY, NORMAL, HARD, STRENGTHS };

/* An opponent's number, as RAM tells it: 8 * strength + style. */
static inline u8 style_of(u8 opponent) { return opponent & 7; }
static inline u8 strength_of(u8 opponent) { return opponent >> 3; }
static inline u8 opponent_of(u8 style, u8 strength) { return strength << 3 | style; }

/* Forgets everything: a new match. */
void computer_begin(Computer *computer, u8 opponent);

/* Looks at the fight and returns the pad of `self`. */
u16 computer_pad(Computer *computer, u8 opponent, const Fighter *self, const Fighter *other);

#endif
