/* Maps, and walking in them. */
#ifndef WORLD_H
#define WORLD_H

#include "gba.h"
#include "talk.h"

enum { SOUTH, NORTH, WEST, EAST };
enum { FERN, ROUTE_1, OAK, GYM_1, HEALER, SHOP, ROUTE_2, PORT, GYM_2, ISLAND, GYM_3, MAPS };
enum { PORTAL_OUT = -1 }; /* leads back to where one came from */
enum { MOST_PEOPLE = 6 };

/* How a square is walked on. */
enum { BLOCKED, FREE, GRASS_SQUARE, DOOR, EXIT, COUNTER, READ, TREE, MACHINE, BOX_SQUARE };

typedef struct {
    const u8 *squares;
    u8 width, height;
} Map;

typedef struct {
    s8 map, x, y, to, to_x, to_y;
} Portal;

typedef struct {
    s8 map, x, y;
    u8 facing, palette; /* palette 0: a ball */
    u8 sight;           /* how many squares a trainer looks ahead */
    s16 trainer;        /* number, or -1 */
    s16 gone;           /* the flag that takes one away, or 0 */
    void (*talk)(int person);
} Person;

extern const Person people[];
extern const int people_count;

/* A new game, in the first town. */
void world_start(void);
void world_frame(u16 held, u16 pressed);

/* Goes to another map, behind a dark screen. */
void world_go(int map, int x, int y);

/* Draws all anew, after a battle. */
void world_show(void);

/* The tree, the machine, the box and the signs, which are squares. */
void use_square(int kind, int map, int x, int y);

/* Whether there is a battle in the grass, which is then begun. */
int grass(int map);

void trainer_sees(int person);

#endif
