/* The frame-data table: what every attack does, and when. */
#ifndef MOVES_H
#define MOVES_H

#include "ram.h"

enum { LIGHT_PUNCH, MEDIUM_PUNCH, HEAVY_PUNCH, LIGHT_KICK, MEDIUM_KICK, HEAVY_KICK, BUTTONS };
enum { STANDING_MOVES = 0, CROUCHING_MOVES = BUTTONS, JUMPING_MOVES = 2 * BUTTONS, MOVES = 3 * BUTTONS };
enum { MIDDLE, LOW, OVERHEAD }; /* blocked: anyhow, crouching only, standing only */

typedef struct {
    u8 startup;    /* frames before it can hit; where it hits; after that */
    u8 active;
    u8 recovery;
    u8 reach;      /* pixels from the middle of the body to the end of the limb */
    u8 bottom;     /* pixels above the feet between which it hits */
    u8 top;
    u8 damage;
    u8 hit_stun;   /* frames that the target cannot act for */
    u8 block_stun;
    u8 push;       /* 1/16 pixel a frame, slowing down */
    u8 level;
    u8 knocks_down;
    u8 score;      /* BCD, hundreds */
} Move;

extern const Move moves[MOVES];

/* The fireball, by the punch that throws it. */
enum { BALL_STARTUP = 12, BALL_RECOVERY = 28, BALL_BOTTOM = 30, BALL_TOP = 46, BALL_REACH = 8 };
extern const Move ball_move;
extern const u8 ball_speed[3]; /* pixels a frame */

enum { THROW_REACH = 36, THROW_FRAMES = 26, THROW_DAMAGE = 24 };

#endif
