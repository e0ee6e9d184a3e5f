/* What the computer sets out to do, and how its pad does it. */
#ifndef PLANS_H
#define PLANS_H

#include "ram.h"

typedef enum {
    WAIT,
    ADVANCE,
    RETREAT,
    GUARD,      /* crouching: stops all but jumps and throws */
    GUARD_HIGH, /* standing: stops jumps */
    STRIKE,     /* goes near enough for `button`, and presses it */
    STRIKE_LOW,
    THROW_IT,
    JUMP_IN,
    JUMP_BACK,
    HOP, /* over a fireball */
    FIREBALL,
    UPPERCUT,
} Plan;

void plan_begin(Computer *computer, Plan plan, u8 frames);

/* The pad for this frame; 0 frames are left once the plan is over. */
u16 plan_pad(Computer *computer, const Fighter *self, const Sight *seen);

#endif
