/* Who hits whom, and what comes of it. */
#ifndef HITS_H
#define HITS_H

#include "ram.h"

/* Finds all hits of a frame first, so that two blows at once both land; then lets them count. */
void settle_hits(Fighter *one, Fighter *two);

/* Takes health from `target`; below 0 it is knocked out. `score` is BCD, in hundreds. */
void take_damage(Fighter *attacker, Fighter *target, u8 damage, u8 score);

#endif
