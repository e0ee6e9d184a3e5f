/* What is saved, laid out in memory exactly as Emerald's: two blocks and the storage, which move, and a key. */
#ifndef SAVE_H
#define SAVE_H

#include "gba.h"

enum { /* in block 1 */
    SAVE_X = 0x00,
    SAVE_Y = 0x02,
    SAVE_LOCATION = 0x04,
    SAVE_OUTSIDE = 0x14,   /* where an exit leads to */
    SAVE_LAST_HEAL = 0x1C, /* where one wakes up after a blackout, and what is outside there */
    SAVE_HEAL_OUTSIDE = 0x24,
    SAVE_MONEY = 0x490,
    SAVE_POTIONS = 0x560,
    SAVE_BALLS = 0x650,
    SAVE_FLAGS = 0x1270,
};

enum {
    FLAG_TREE_IS_CUT = 0x11, /* until the map is left */
    FLAG_STARTER = 0x74,
    FLAG_HEALED = 0x90,
    FLAG_CUT = 0x91,
    FLAG_BOUGHT = 0x92,
    FLAG_GAMBLED = 0x93,
    FLAG_STORED = 0x94,
    FLAG_SAILED = 0x95,
    FLAG_FERRY = 0x2E2, /* to 0x2E8: who stands at which dock */
    FLAG_FERRY_AWAY = 0x371,
    FLAG_SIGN = 0x3E8,
    FLAG_TRAINER = 0x500,
    FLAG_POKEDEX = 0x861,
    FLAG_BADGE = 0x867,
    FLAG_TOWN = 0x86F,
};

enum { BOX_MONSTERS = 30 };

typedef struct { /* as Emerald's WarpData */
    s8 group, number, warp;
    u8 unused;
    s16 x, y;
} Location;

#define LOCKED AT8(0x03000F2C)
#define CALLBACK AT32(0x030022C4)
#define IN_STEP AT8(0x02037593) /* 1 between two squares */
#define BATTLE_BITS AT8(0x030026F9)
#define BATTLE_TYPE AT32(0x02022FEC)
#define BATTLE_OUTCOME AT8(0x0202433A)
enum { IN_OVERWORLD = 0x08085E5D, IN_BATTLE = 0x08038421, BETWEEN = 0x08000001 };

/* A new game. */
void save_start(void);

/* What a warp does: moves all blocks and changes the key. */
void save_move(void);

u8 *save_1(void);
u8 *save_2(void);
u8 *storage(void);

Location *location(int offset);

int flag(int number);
void flag_set(int number);
void flag_clear(int number);

int money(void);
void money_add(int amount);

/* How many of an item, SAVE_POTIONS or SAVE_BALLS. */
int items(int pocket);
void items_add(int pocket, int amount);

/* Numbers of species, from 1. */
void dex_seen(int species);
void dex_owned(int species);

/* A number below `limit`. */
int random(int limit);
u32 random_word(void);

#endif
