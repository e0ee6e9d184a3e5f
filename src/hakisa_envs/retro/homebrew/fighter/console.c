#include "console.h"

#define VIDEO_DATA (*(volatile u16 *)0xC00000)
#define VIDEO_CONTROL (*(volatile u16 *)0xC00004)
#define VIDEO_ADDRESS (*(volatile u32 *)0xC00004)

static void set_register(u8 number, u8 value) { VIDEO_CONTROL = 0x8000 | number << 8 | value; }

static void address(u16 place, u32 kind) {
    VIDEO_ADDRESS = kind | (u32)(place & 0x3FFF) << 16 | place >> 14;
}

void video_write(u16 place, const u16 *words, u16 count) {
    address(place, 0x40000000);
    while (count--) VIDEO_DATA = *words++;
}

void video_fill(u16 place, u16 word, u16 count) {
    address(place, 0x40000000);
    while (count--) VIDEO_DATA = word;
}

void colours_write(u16 first, const u16 *colours, u16 count) {
    address(first << 1, 0xC0000000);
    while (count--) VIDEO_DATA = *colours++;
}

void console_start(void) {
    static const u8 registers[] = {
        [0] = 0x04,                  /* no line interrupt */
        [1] = 0x34,                  /* picture off as yet, interrupt at its end, 224 lines */
        [2] = PLANE_A >> 10,
        [3] = 0,
        [4] = PLANE_B >> 13,
        [5] = SPRITES >> 9,
        [6] = 0,
        [7] = 0,                     /* background: colour 0 */
        [10] = 255,
        [11] = 0,                    /* the planes scroll as a whole: not at all */
        [12] = 0,                    /* 256 pixels wide */
        [13] = SCROLL >> 10,
        [14] = 0,
        [15] = 2,                    /* each word written lies after the one before */
        [16] = 0,                    /* planes of 32 x 32 tiles */
        [17] = 0,
        [18] = 0,
    };
    (void)VIDEO_CONTROL;
    for (u8 i = 0; i < sizeof registers; i++) set_register(i, registers[i]);
    video_fill(0, 0, 0x8000);
    address(0, 0x40000010);
    VIDEO_DATA = 0; /* vertical scroll of both planes */
    VIDEO_DATA = 0;
    for (u8 pad = 0; pad < 2; pad++) *(volatile u8 *)(pad ? 0xA1000B : 0xA10009) = 0x40;
    set_register(1, 0x74);
}

void wait_for_blank(void) { __asm__ volatile("stop #0x2500" ::: "cc", "memory"); }

/* A six-button pad answers other things at each change of its select line. */
u16 read_pad(u8 pad) {
    volatile u8 *port = (volatile u8 *)(pad ? 0xA10005 : 0xA10003);
    u8 answers[7];
    for (u8 i = 0; i < 7; i++) {
        *port = i & 1 ? 0 : 0x40;
        __asm__ volatile("nop\n nop\n nop\n nop");
        answers[i] = ~*port;
    }
    *port = 0x40;
    u16 held = answers[0] & 0x3F;           /* C B right left down up */
    held |= (answers[1] & 0x30) << 2;       /* start A */
    held |= (u16)(answers[6] & 0x0F) << 8;  /* mode X Y Z */
    return held;
}
