/* What is shown: a background of the map, one of text above it, and sprites. */
#ifndef SCREEN_H
#define SCREEN_H

#include "gba.h"

enum { TEXT_COLUMNS = 30, TEXT_ROWS = 20 };
enum { SPRITES = 12, NO_SPRITE = -1 };

void screen_start(void);

/* Draws one of the map's squares of 16 x 16 pixels. */
void screen_square(int column, int row, int square);

/* Which pixel of the map is at the upper left. */
void screen_look(int x, int y);

/* How dark it is, 0 to 16. */
void screen_dark(int darkness);

/* Shows the map, or a meadow without anything. */
void screen_map(int shown);

/* Puts a sprite of 16 x 16 or 32 x 32 pixels on the screen. */
void screen_person(int sprite, int x, int y, int palette, int facing, int step);
void screen_ball(int sprite, int x, int y);
void screen_monster(int sprite, int x, int y, int species, int flipped);
void screen_hide(int sprite);

/* Text: a letter is 8 x 8 pixels. */
void screen_letters(int column, int row, const char *letters);
void screen_number(int column, int row, int number);
void screen_box(int column, int row, int columns, int rows);
void screen_clear(int column, int row, int columns, int rows);

/* A bar of `columns` letters, `filled` of its pixels full. */
void screen_bar(int column, int row, int columns, int filled);

#endif
