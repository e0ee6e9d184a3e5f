#include "gba.h"

enum { DISPSTAT = 0x04000004, KEYS = 0x04000130, IE = 0x04000200, IF = 0x04000202, HALT = 0x04000301 };
enum { DMA3_FROM = 0x040000D4, DMA3_TO = 0x040000D8, DMA3_COUNT = 0x040000DC, DMA3_CONTROL = 0x040000DE };
enum { DMA_BACKWARDS = 1 << 5 | 1 << 7, DMA_WORDS = 1 << 10, DMA_GO = 1 << 15 };

void wait_for_blank(void) {
    AT16(DISPSTAT) = 8; /* ask for an interrupt at vertical blank; none is served, it only ends the sleep */
    AT16(IE) = 1;
    AT16(IF) = 1;
    AT8(HALT) = 0;
}

u16 read_pad(void) { return ~AT16(KEYS) & 0x3FF; }

void move_words(u32 to, u32 from, u32 bytes) {
    u32 backwards = to > from;
    AT32(DMA3_FROM) = backwards ? from + bytes - 4 : from;
    AT32(DMA3_TO) = backwards ? to + bytes - 4 : to;
    AT16(DMA3_COUNT) = bytes / 4;
    AT16(DMA3_CONTROL) = DMA_GO | DMA_WORDS | (backwards ? DMA_BACKWARDS : 0);
}

void *memset(void *to, int value, unsigned int count) {
    u8 *byte = to;
    while (count--)
        *byte++ = value;
    return to;
}

void *memcpy(void *to, const void *from, unsigned int count) {
    u8 *byte = to;
    const u8 *source = from;
    while (count--)
        *byte++ = *source++;
    return to;
}
