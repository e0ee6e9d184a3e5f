#include "moves.h"

/*                start act rec reach  from to  dmg  hit block push level     down score */
const Move moves[MOVES] = {
    /* standing */
    [0] = {4, 3, 7, 36, 36, 52, 6, 12, 9, 36, MIDDLE, 0, 0x01},
    [1] = {6, 4, 12, 42, 36, 52, 12, 15, 11, 44, MIDDLE, 0, 0x03},
    [2] = {9, 4, 20, 48, 42, 56, 20, 19, 14, 56, MIDDLE, 0, 0x05},
    [3] = {5, 3, 9, 42, 24, 40, 7, 12, 9, 36, MIDDLE, 0, 0x01},
    [4] = {7, 4, 14, 50, 30, 48, 13, 15, 11, 44, MIDDLE, 0, 0x03},
    [5] = {10, 5, 22, 57, 42, 60, 22, 19, 14, 60, MIDDLE, 0, 0x05},
    /* crouching */
    [6] = {4, 3, 7, 34, 20, 34, 5, 11, 8, 36, MIDDLE, 0, 0x01},
    [7] = {6, 4, 12, 40, 20, 36, 11, 14, 10, 44, MIDDLE, 0, 0x03},
    [8] = {7, 7, 26, 32, 24, 88, 20, 19, 12, 52, MIDDLE, 1, 0x05}, /* uppercut: against jumps */
    [9] = {5, 3, 9, 40, 0, 16, 5, 11, 8, 36, LOW, 0, 0x01},
    [10] = {7, 4, 15, 50, 0, 16, 11, 14, 10, 44, LOW, 0, 0x03},
    [11] = {9, 4, 26, 56, 0, 16, 17, 18, 12, 48, LOW, 1, 0x05}, /* sweep */
    /* jumping: it lasts until landing at most */
    [12] = {4, 20, 0, 30, 10, 34, 8, 13, 10, 32, OVERHEAD, 0, 0x01},
    [13] = {5, 12, 0, 34, 6, 34, 14, 16, 12, 40, OVERHEAD, 0, 0x03},
    [14] = {7, 8, 0, 38, 0, 36, 20, 19, 14, 48, OVERHEAD, 0, 0x05},
    [15] = {4, 20, 0, 34, 6, 26, 8, 13, 10, 32, OVERHEAD, 0, 0x01},
    [16] = {5, 12, 0, 38, 4, 26, 14, 16, 12, 40, OVERHEAD, 0, 0x03},
    [17] = {7, 8, 0, 44, 2, 26, 20, 19, 14, 48, OVERHEAD, 0, 0x05},
};

const Move ball_move = {0, 0, 0, BALL_REACH, BALL_BOTTOM, BALL_TOP, 12, 18, 14, 48, MIDDLE, 0, 0x05};
const u8 ball_speed[3] = {2, 3, 4};
