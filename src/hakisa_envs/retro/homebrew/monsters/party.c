#include "party.h"

#include "save.h"

enum { PARTY_COUNT = 0x020244E9, PARTY = 0x020244EC, PARTY_BYTES = 100, BOX_BYTES = 80, FIRST_BOX = 4 };
enum { CHECKSUM = 0x1C, SECRET = 0x20, STATUS = 0x50 };

Monster party[MOST_IN_PARTY];
u8 party_count;
static Monster box[BOX_MONSTERS];
static u8 box_count;
static u8 unsettled;

#define TACKLE {"TACKLE", NORMAL, 40}
#define GRASS_MOVES {{"LEAF WHIP", GRASS, 45}, TACKLE, {"SOLAR RAY", GRASS, 75}}
#define FIRE_MOVES {{"SPARK", FIRE, 45}, TACKLE, {"BLAZE", FIRE, 75}}
#define WATER_MOVES {{"SPLASH", WATER, 45}, TACKLE, {"TORRENT", WATER, 75}}
#define ROCK_MOVES {{"ROCK TOSS", ROCK, 40}, TACKLE, {"QUAKE", ROCK, 70}}
#define NORMAL_MOVES {{"DASH", NORMAL, 45}, TACKLE, {"SLAM", NORMAL, 70}}

static const Species species[SPECIES + 1] = {
    {0},
    {"SPROUTLE", GRASS, 45, 49, 49, 45, 60, GRASS_MOVES},
    {"EMBERIL", FIRE, 41, 54, 43, 62, 60, FIRE_MOVES},
    {"PUDDLIN", WATER, 47, 49, 55, 43, 60, WATER_MOVES},
    {"PEBBLET", ROCK, 40, 50, 62, 20, 200, ROCK_MOVES},
    {"BUZZLET", NORMAL, 38, 42, 35, 55, 220, NORMAL_MOVES},
    {"MOSSUM", GRASS, 42, 44, 45, 35, 200, GRASS_MOVES},
    {"CINDREL", FIRE, 45, 56, 46, 65, 150, FIRE_MOVES},
    {"TIDALIS", WATER, 55, 56, 58, 50, 120, WATER_MOVES},
    {"BOULDRAM", ROCK, 55, 58, 70, 25, 90, ROCK_MOVES},
};

/* Which of growth (0), attacks (1), effort (2) and miscellaneous (3) comes when, by personality % 24. */
static const char orders[24][5] = {
    "GAEM", "GAME", "GEAM", "GEMA", "GMAE", "GMEA", "AGEM", "AGME", "AEGM", "AEMG", "AMGE", "AMEG",
    "EGAM", "EGMA", "EAGM", "EAMG", "EMGA", "EMAG", "MGAE", "MGEA", "MAGE", "MAEG", "MEGA", "MEAG",
};

const Species *species_of(const Monster *monster) { return &species[monster->species]; }
int moves_of(const Monster *monster) { return monster->level < 10 ? 2 : MOVES; }

static u32 experience_at(u32 level) { return level * level * level; }

static void compute(Monster *monster) {
    const Species *kind = species_of(monster);
    int level = monster->level, before = monster->full_health;
    monster->full_health = kind->health * 2 * level / 100 + level + 10;
    monster->attack = kind->attack * 2 * level / 100 + 5;
    monster->defence = kind->defence * 2 * level / 100 + 5;
    monster->speed = kind->speed * 2 * level / 100 + 5;
    monster->health += monster->full_health - before;
}

Monster monster_new(int number, int level) {
    Monster made = {0};
    made.personality = random_word();
    made.species = number;
    made.level = level;
    made.experience = experience_at(level);
    compute(&made);
    return made;
}

int monster_gain(Monster *monster, int experience) {
    int before = monster->level;
    if (monster->level >= BEST_LEVEL)
        return 0;
    monster->experience += experience;
    while (monster->level < BEST_LEVEL && monster->experience >= experience_at(monster->level + 1))
        monster->level++;
    compute(monster);
    return monster->level - before;
}

static void put16(u8 *at, u32 value) {
    at[0] = value;
    at[1] = value >> 8;
}

static void put32(u8 *at, u32 value) {
    put16(at, value);
    put16(at + 2, value >> 16);
}

/* The 48 secret bytes, plain; how they are ordered hangs on the personality. */
static void plain(const Monster *monster, u8 *to) {
    const char *order = orders[monster->personality % 24];
    memset(to, 0, 48);
    for (int part = 0; part < 4; part++, to += 12) {
        if (order[part] == 'G') {
            put16(to, monster->species);
            put32(to + 4, monster->experience);
            to[9] = 70; /* friendship */
        } else if (order[part] == 'A') {
            for (int move = 0; move < moves_of(monster); move++) {
                put16(to + 2 * move, 3 * monster->species + move);
                to[8 + move] = 35;
            }
        }
    }
}

static u32 checksum(const Monster *monster) {
    u8 bytes[48];
    u32 sum = 0;
    plain(monster, bytes);
    for (int at = 0; at < 48; at += 2)
        sum += bytes[at] | bytes[at + 1] << 8;
    return sum & 0xFFFF;
}

static void write_secret(const Monster *monster, u8 *to) {
    u8 bytes[48];
    u32 trainer = *(u32 *)(save_2() + 8), key = monster->personality ^ trainer;
    plain(monster, bytes);
    put32(to, monster->personality);
    put32(to + 4, trainer);
    for (int at = 0; at < 48; at++)
        to[SECRET + at] = bytes[at] ^ key >> 8 * (at & 3);
}

void party_changed(void) {
    u8 *to = (u8 *)PARTY;
    for (int index = 0; index < MOST_IN_PARTY; index++, to += PARTY_BYTES) {
        const Monster *monster = &party[index];
        if (index >= party_count) {
            memset(to, 0, PARTY_BYTES);
            continue;
        }
        write_secret(monster, to);
        put32(to + STATUS, 0);
        to[0x54] = monster->level;
        put16(to + 0x56, monster->health);
        put16(to + 0x58, monster->full_health);
        put16(to + 0x5A, monster->attack);
        put16(to + 0x5C, monster->defence);
        put16(to + 0x5E, monster->speed);
        put16(to + 0x60, monster->attack);
        put16(to + 0x62, monster->defence);
    }
    AT8(PARTY_COUNT) = party_count;
    unsettled = 1;
}

void party_settle(void) {
    if (!unsettled)
        return;
    for (int index = 0; index < party_count; index++)
        put16((u8 *)PARTY + index * PARTY_BYTES + CHECKSUM, checksum(&party[index]));
    unsettled = 0;
}

static void box_changed(int slot) {
    u8 *to = storage() + FIRST_BOX + slot * BOX_BYTES;
    if (slot >= box_count) {
        memset(to, 0, BOX_BYTES);
        return;
    }
    write_secret(&box[slot], to);
    put16(to + CHECKSUM, checksum(&box[slot]));
}

static int box_add(const Monster *monster) {
    if (box_count == BOX_MONSTERS)
        return 0;
    box[box_count++] = *monster;
    box_changed(box_count - 1);
    return 1;
}

int party_add(const Monster *monster) {
    dex_seen(monster->species);
    dex_owned(monster->species);
    if (party_count == MOST_IN_PARTY) {
        box_add(monster);
        return 0;
    }
    party[party_count++] = *monster;
    party_changed();
    return 1;
}

int party_first(void) {
    for (int index = 0; index < party_count; index++)
        if (party[index].health > 0)
            return index;
    return -1;
}

void party_heal(void) {
    for (int index = 0; index < party_count; index++)
        party[index].health = party[index].full_health;
    party_changed();
}

int party_deposit(void) {
    if (party_count < 2 || !box_add(&party[party_count - 1]))
        return 0;
    party_count--;
    if (party_first() < 0) { /* nobody who can fight would be left */
        party_count++;
        box_count--;
        box_changed(box_count);
        return 0;
    }
    party_changed();
    return 1;
}

int party_withdraw(void) {
    if (box_count == 0 || party_count == MOST_IN_PARTY)
        return 0;
    party[party_count++] = box[--box_count];
    box_changed(box_count);
    party_changed();
    return 1;
}
