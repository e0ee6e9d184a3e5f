/* The console: types, registers, buttons. */
#ifndef GBA_H
#define GBA_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef signed char s8;
typedef short s16;
typedef int s32;

#define AT8(address) (*(volatile u8 *)(address))
#define AT16(address) (*(volatile u16 *)(address))
#define AT32(address) (*(volatile u32 *)(address))

enum { A = 1, B = 2, SELECT = 4, START = 8, RIGHT = 16, LEFT = 32, UP = 64, DOWN = 128 };

/* Sleeps until the picture is drawn; polling instead would cost an emulator three times as much. */
void wait_for_blank(void);

/* Buttons held. */
u16 read_pad(void);

/* Copies whole words in one go, also where the two overlap. */
void move_words(u32 to, u32 from, u32 bytes);

void *memset(void *to, int value, unsigned int count);
void *memcpy(void *to, const void *from, unsigned int count);

#endif
