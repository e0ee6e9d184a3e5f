/* One frame of a fight between two fighters: what they do, who is hit. */
#ifndef FIGHT_H
#define FIGHT_H

#include "ram.h"

typedef enum {
    STANDING,
    WALKING,
    CROUCHING,
    JUMPING,
    BLOCKING,
    ATTACKING,
    CASTING,  /* throws a fireball */
    THROWING, /* has thrown the other */
    THROWN,
    REELING,
    FALLING,
    LYING,
    RISING,
    BEATEN,
    WINNING,
} Action;

enum {
    GROUND = 192,
    LEFT_WALL = 156,
    RIGHT_WALL = 356,
    START_LEFT = 205,
    START_RIGHT = 307,
    BODY = 12, /* half the width that can be hit */
};

/* Puts a fighter at its place for a new round. */
void stand_up(Fighter *fighter, s16 x, s16 facing);

/* Plays a frame from the pads in the fighters; `control` is 0 once a round is over. */
void fight_frame(u8 control);

/* Pixels from `from` to `to`, positive in front of it. */
s16 gap(const Fighter *from, const Fighter *to);

void add_score(Fighter *fighter, u32 bcd);

#endif
