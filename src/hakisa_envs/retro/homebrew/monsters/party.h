/* Monsters, and the party of up to six. */
#ifndef PARTY_H
#define PARTY_H

#include "gba.h"

enum Type { NORMAL, GRASS, FIRE, WATER, ROCK };
enum { SPECIES = 9, MOST_IN_PARTY = 6, BEST_LEVEL = 100, MOVES = 3 };

typedef struct {
    const char *name;
    u8 type, power;
} Move;

typedef struct {
    const char *name;
    u8 type, health, attack, defence, speed, catch_rate;
    Move moves[MOVES]; /* the third from level 10 on */
} Species;

typedef struct {
    u32 personality, experience;
    u8 species, level;
    s16 health, full_health;
    s16 attack, defence, speed;
} Monster;

extern Monster party[MOST_IN_PARTY];
extern u8 party_count;

const Species *species_of(const Monster *monster);
int moves_of(const Monster *monster);

/* A new one in full health. */
Monster monster_new(int species, int level);

/* Adds experience; how many levels it rose. */
int monster_gain(Monster *monster, int experience);

/* Puts one into the party, or into the storage if that is full: whether the party took it. */
int party_add(const Monster *monster);

/* Writes the party where others read it: the secret parts at once, their checksums a frame later, by `party_settle`,
 * so that for a frame the memory is as in mid-write. */
void party_changed(void);
void party_settle(void);

/* Whether one of them can fight, and the first who can. */
int party_first(void);

void party_heal(void);

/* The last of the party into the storage, and back: whether that was possible. */
int party_deposit(void);
int party_withdraw(void);

#endif
