/* The same game as a shared library, without a console: thousands of rounds a minute, for measuring its balance. */
#include "match.h"

Ram ram;

Ram *game_ram(void) { return &ram; }

/* Begins a match from the title screen. */
void begin(int opponent, int swapped, unsigned random) {
    ram = (Ram){0};
    game_start();
    ram.game.opponent = opponent;
    ram.game.swapped = swapped;
    ram.game.random = random;
    game_frame(START, 0);
}

/* Plays `count` frames from `pads`, player 1 and player 2 by turns, again and again, until the phase changes or `limit`
 * frames are over. Returns the frames played. */
int play(const u16 *pads, int count, int limit) {
    u8 phase = ram.game.phase;
    int frame = 0;
    while (frame < limit && ram.game.phase == phase) {
        const u16 *now = pads + 2 * (frame++ % count);
        game_frame(now[0], now[1]);
    }
    return frame;
}
