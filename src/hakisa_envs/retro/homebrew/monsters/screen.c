#include "screen.h"

#include "pictures.h"

enum { DISPCNT = 0x04000000, BG0CNT = 0x04000008, BG1CNT = 0x0400000A, BG1X = 0x04000014, BG1Y = 0x04000016 };
enum { BLDCNT = 0x04000050, BLDY = 0x04000054 };
enum { BG_COLOURS = 0x05000000, SPRITE_COLOURS = 0x05000200, OAM = 0x07000000 };
enum { TEXT_TILES = 0x06000000, MAP_TILES = 0x06004000, SPRITE_TILES = 0x06010000 };
enum { MAP_BLOCK = 24, TEXT_BLOCK = 28, BLOCK_BYTES = 0x800 };
enum { TEXT_MAP = 0x06000000 + TEXT_BLOCK * BLOCK_BYTES, SQUARES_MAP = 0x06000000 + MAP_BLOCK * BLOCK_BYTES };
enum { BATTLE_COLOUR = 19 | 26 << 5 | 20 << 10 };
enum { SHOW_TEXT = 1 << 8, SHOW_MAP = 1 << 9, SHOW_SPRITES = 1 << 12, ROWS_OF_TILES = 1 << 6 };

static void copy(u32 to, const u16 *from, int count) {
    for (int at = 0; at < count; at++)
        AT16(to + 2 * at) = from[at];
}

#define COUNT(array) ((int)(sizeof(array) / sizeof(array[0])))

void screen_start(void) {
    AT16(DISPCNT) = SHOW_TEXT | SHOW_MAP | SHOW_SPRITES | ROWS_OF_TILES;
    AT16(BG0CNT) = 0 | 0 << 2 | TEXT_BLOCK << 8;
    AT16(BG1CNT) = 1 | 1 << 2 | MAP_BLOCK << 8 | 3 << 14;
    copy(BG_COLOURS, text_colours, COUNT(text_colours));
    copy(BG_COLOURS + 32, map_colours, COUNT(map_colours));
    copy(SPRITE_COLOURS, sprite_colours[0], COUNT(sprite_colours) * 16);
    copy(TEXT_TILES, text_tiles, COUNT(text_tiles));
    copy(MAP_TILES, map_tiles, COUNT(map_tiles));
    copy(SPRITE_TILES, sprite_tiles, COUNT(sprite_tiles));
    for (int sprite = 0; sprite < 128; sprite++)
        screen_hide(sprite);
    screen_clear(0, 0, 32, 32);
    AT16(BLDCNT) = 0x00FF; /* everything gets darker by BLDY */
}

void screen_square(int column, int row, int square) {
    /* 64 x 64 tiles are four blocks of 32 x 32. */
    u32 block = SQUARES_MAP + ((column >> 4) + 2 * (row >> 4)) * BLOCK_BYTES;
    u32 at = block + 2 * (2 * (column & 15) + 64 * (row & 15));
    u16 tile = 4 * square | 1 << 12;
    AT16(at) = tile;
    AT16(at + 2) = tile + 1;
    AT16(at + 64) = tile + 2;
    AT16(at + 66) = tile + 3;
}

void screen_look(int x, int y) {
    AT16(BG1X) = x;
    AT16(BG1Y) = y;
}

void screen_dark(int darkness) { AT16(BLDY) = darkness; }

void screen_map(int shown) {
    AT16(DISPCNT) = (AT16(DISPCNT) & ~SHOW_MAP) | (shown ? SHOW_MAP : 0);
    AT16(BG_COLOURS) = shown ? 0 : BATTLE_COLOUR;
}

static void put(int sprite, int x, int y, int size, int attributes, int flipped) {
    u32 at = OAM + 8 * sprite;
    if (x <= -32 || x >= 240 || y <= -32 || y >= 160) {
        screen_hide(sprite);
        return;
    }
    AT16(at) = y & 255;
    AT16(at + 2) = (x & 511) | flipped << 12 | size << 14;
    AT16(at + 4) = attributes | 1 << 10;
}

void screen_person(int sprite, int x, int y, int palette, int facing, int step) {
    put(sprite, x, y, 1, (PERSON_TILE + 4 * (2 * facing + step)) | palette << 12, 0);
}

void screen_ball(int sprite, int x, int y) { put(sprite, x, y, 1, BALL_TILE, 0); }

void screen_monster(int sprite, int x, int y, int species, int flipped) {
    put(sprite, x, y, 2, (MONSTER_TILE + 16 * (species - 1)) | monster_palettes[species - 1] << 12, flipped);
}

void screen_hide(int sprite) { AT16(OAM + 8 * sprite) = 1 << 9; }

static void tile(int column, int row, int number) { AT16(TEXT_MAP + 2 * (column + 32 * row)) = number; }

void screen_letters(int column, int row, const char *letters) {
    for (; *letters; letters++)
        tile(column++, row, *letters - ' ' + 1);
}

void screen_number(int column, int row, int number) {
    char digits[8], *at = digits + 7;
    *at = 0;
    do
        *--at = '0' + number % 10;
    while (number /= 10);
    screen_letters(column, row, at);
}

void screen_box(int column, int row, int columns, int rows) {
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++) {
            int side = (x == 0) + 2 * (x == columns - 1), end = (y == 0) + 2 * (y == rows - 1);
            tile(column + x, row + y, FRAME_TILE + 3 * end + side);
        }
}

void screen_clear(int column, int row, int columns, int rows) {
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            tile(column + x, row + y, 0);
}

void screen_bar(int column, int row, int columns, int filled) {
    for (int x = 0; x < columns; x++, filled -= 8)
        tile(column + x, row, BAR_TILE + (filled < 0 ? 0 : filled > 8 ? 8 : filled));
}
