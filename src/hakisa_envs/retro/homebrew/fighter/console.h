/* The Mega Drive's video chip and pads. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "ram.h"

enum { PLANE_A = 0xC000, PLANE_B = 0xE000, SPRITES = 0xD800, SCROLL = 0xDC00, PLANE_WIDTH = 32, SCREEN_ROWS = 28 };

void console_start(void);

/* Sleeps until the picture has been sent, so that what is changed now is seen as a whole. */
void wait_for_blank(void);

/* The buttons that are held on pad 0 or 1. */
u16 read_pad(u8 pad);

/* Words to video memory, colours to line 0..3 (64 numbers in all). */
void video_write(u16 address, const u16 *words, u16 count);
void video_fill(u16 address, u16 word, u16 count);
void colours_write(u16 first, const u16 *colours, u16 count);

#endif
