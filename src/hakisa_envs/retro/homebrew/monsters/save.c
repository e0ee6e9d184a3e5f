#include "save.h"

enum { MAGIC = 0x0203FFF0, RANDOM = 0x03005D80 };
enum { POINTER_1 = 0x03005D8C, POINTER_2 = 0x03005D90, POINTER_STORAGE = 0x03005D94 };
enum { BASE_1 = 0x02025A00, BASE_2 = 0x02024A54, BASE_STORAGE = 0x02029808 };
enum { SIZE_1 = 0x3D88, SIZE_2 = 0xF2C, SIZE_STORAGE = 0x83D0 };
enum { OWNED = 0x28, SEEN = 0x5C, KEY = 0xAC, TRAINER = 0x0A };
enum { MOST_MONEY = 999999, MOST_ITEMS = 99 };
enum { POTION = 13, BALL = 4 }; /* Emerald's numbers of items */

u8 *save_1(void) { return (u8 *)AT32(POINTER_1); }
u8 *save_2(void) { return (u8 *)AT32(POINTER_2); }
u8 *storage(void) { return (u8 *)AT32(POINTER_STORAGE); }

static u32 *word(u8 *at) { return (u32 *)at; }
static u16 *half(u8 *at) { return (u16 *)at; }

Location *location(int offset) { return (Location *)(save_1() + offset); }

u32 random_word(void) {
    u32 high, low;
    AT32(RANDOM) = AT32(RANDOM) * 1103515245 + 24691;
    high = AT32(RANDOM) & 0xFFFF0000;
    AT32(RANDOM) = AT32(RANDOM) * 1103515245 + 24691;
    low = AT32(RANDOM) >> 16;
    return high | low;
}

int random(int limit) {
    AT32(RANDOM) = AT32(RANDOM) * 1103515245 + 24691;
    return (AT32(RANDOM) >> 16) * limit >> 16;
}

static void move(u32 pointer, u32 base, u32 size) {
    u32 to = base + 4 * random(32);
    move_words(to, AT32(pointer), size);
    AT32(pointer) = to;
}

static void change_key(u32 key) {
    u32 change = *word(save_2() + KEY) ^ key;
    *word(save_1() + SAVE_MONEY) ^= change;
    *half(save_1() + SAVE_POTIONS + 2) ^= change;
    *half(save_1() + SAVE_BALLS + 2) ^= change;
    *word(save_2() + KEY) = key;
}

void save_move(void) {
    move(POINTER_1, BASE_1, SIZE_1);
    move(POINTER_2, BASE_2, SIZE_2);
    move(POINTER_STORAGE, BASE_STORAGE, SIZE_STORAGE);
    change_key(random_word());
}

void save_start(void) {
    for (u32 at = 0x02000000; at < 0x02040000; at += 4)
        AT32(at) = 0;
    for (u32 at = 0x03000000; at < 0x03006000; at += 4)
        AT32(at) = 0;
    AT32(MAGIC) = 0x484B4D4E;
    AT32(RANDOM) = 0x2A6F31C5;
    AT32(POINTER_1) = BASE_1;
    AT32(POINTER_2) = BASE_2;
    AT32(POINTER_STORAGE) = BASE_STORAGE;
    *word(save_2() + TRAINER - 2) = random_word();
    *half(save_1() + SAVE_POTIONS) = POTION;
    *half(save_1() + SAVE_BALLS) = BALL;
    change_key(random_word());
    money_add(1000);
}

int flag(int number) { return save_1()[SAVE_FLAGS + (number >> 3)] >> (number & 7) & 1; }
void flag_set(int number) { save_1()[SAVE_FLAGS + (number >> 3)] |= 1 << (number & 7); }
void flag_clear(int number) { save_1()[SAVE_FLAGS + (number >> 3)] &= ~(1 << (number & 7)); }

int money(void) { return *word(save_1() + SAVE_MONEY) ^ *word(save_2() + KEY); }

void money_add(int amount) {
    int now = money() + amount;
    now = now < 0 ? 0 : now > MOST_MONEY ? MOST_MONEY : now;
    *word(save_1() + SAVE_MONEY) = now ^ *word(save_2() + KEY);
}

int items(int pocket) { return (u16)(*half(save_1() + pocket + 2) ^ *half(save_2() + KEY)); }

void items_add(int pocket, int amount) {
    int now = items(pocket) + amount;
    now = now > MOST_ITEMS ? MOST_ITEMS : now;
    *half(save_1() + pocket + 2) = now ^ *half(save_2() + KEY);
}

static void dex(int offset, int species) { save_2()[offset + ((species - 1) >> 3)] |= 1 << ((species - 1) & 7); }
void dex_seen(int species) { dex(SEEN, species); }
void dex_owned(int species) { dex(OWNED, species); }
