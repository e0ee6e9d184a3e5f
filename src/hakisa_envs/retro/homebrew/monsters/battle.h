/* Battles: a menu game. */
#ifndef BATTLE_H
#define BATTLE_H

#include "party.h"
#include "talk.h"

/* As Emerald numbers outcomes. */
enum { WON = 1, LOST = 2, FLED = 4, CAUGHT = 7 };

typedef struct {
    u8 species, level;
} Foe;

/* Begins one; `trainer` is 0 in the grass. Afterwards `then` is called with the outcome. */
void battle_start(const Foe *foes, int count, int trainer, Then then);

/* Whether there is one, and plays a frame of it where no dialog is there. */
int battling(void);
void battle_frame(void);

#endif
