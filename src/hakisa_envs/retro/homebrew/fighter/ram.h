/* Everything that the game remembers from frame to frame: one struct at 0xFF8000.
 *
 * The fields named with an offset lie where Street Fighter II' keeps them, so one data.json reads both games. */
#ifndef RAM_H
#define RAM_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;

#define MAGIC 0x484B4654u /* "HKFT" */
enum {
    VERSION = 1,
    FULL_HEALTH = 176, /* 0 is alive, -1 is knocked out */
    KNOCKED_OUT = -1,
    TIMER_START = 0x9928, /* BCD seconds, then the 40 frames of one; holds this until a round begins */
    CONTINUE_SECONDS = 10,
    SIGHTS = 32,
    MEMORIES = 8,
    HUMAN = 255, /* as a character */
};

/* What `status` says. */
enum {
    STATUS_NONE = 0,
    STATUS_STAND = 512,
    STATUS_CROUCH = 514,
    STATUS_JUMP = 516,
    STATUS_BLOCK = 518,
    STATUS_BLOCK_LOW = 520,
    STATUS_ATTACK = 522,
    STATUS_SPECIAL = 524,
    STATUS_STUNNED = 526,
    STATUS_BEATEN = 528,
    STATUS_WINNER = 530,
    STATUS_THROWN = 532,
    STATUS_TIME_OVER = 1024,
};

/* Buttons of a pad. */
enum {
    UP = 0x001,
    DOWN = 0x002,
    LEFT = 0x004,
    RIGHT = 0x008,
    BUTTON_B = 0x010,
    BUTTON_C = 0x020,
    BUTTON_A = 0x040,
    START = 0x080,
    BUTTON_Z = 0x100,
    BUTTON_Y = 0x200,
    BUTTON_X = 0x400,
    MODE = 0x800,
    PUNCHES = BUTTON_X | BUTTON_Y | BUTTON_Z,
};

typedef struct {
    u8 unused_000[2];
    u16 status; /* 0x002 */
    u8 unused_004[2];
    u16 x; /* 0x006: pixels of the stage */
    u8 unused_008[2];
    u16 y; /* 0x00A: 192 on the ground, less in the air */
    u8 unused_00C[0x36];
    s16 health; /* 0x042 */
    u8 unused_044[0x3C];

    /* From here to 0x0B0 our own. */
    s16 fine_x;  /* 0x080: 1/16 pixel */
    s16 height;  /* 1/16 pixel above the ground */
    s16 speed_x; /* 1/16 pixel a frame */
    s16 speed_y;
    s16 facing; /* 1 right, -1 left */
    u16 pad;    /* what is held, and what was pressed in this frame */
    u16 pressed;
    u8 action; /* an Action */
    u8 move;   /* row of `moves`, while attacking */
    u8 frame;  /* of the action */
    u8 stun;   /* frames until it may act again */
    u8 low;    /* crouches, also while blocking or attacking */
    u8 connected; /* this attack has met its target */
    u8 attacks;   /* counts attacks begun, modulo 256 */
    u8 safe;      /* frames in which nothing hits it */
    u8 motion;    /* steps of down, down-forward, forward that are done */
    u8 motion_frames;
    u8 hits_taken; /* in a row */
    u8 ball_active;
    s16 ball_x; /* pixels of the stage */
    s16 ball_speed;
    u8 ball_power; /* 0 light, 1 medium, 2 heavy */
    u8 unused_09F[0x136];

    u8 continue_timer; /* 0x1D5: 10 as the continue screen begins */
    u8 unused_1D6[4];
    u8 rounds_won; /* 0x1DA: "matches_won" in data.json */
    u8 character;  /* 0x1DB: 8 * strength + style of a computer's fighter; 255 is human */
    u8 unused_1DC[0xC];
    u8 score[4]; /* 0x1E8: BCD */
    u8 unused_1EC[0x94];
} Fighter;

/* What the computer saw of its opponent in one frame. */
typedef struct {
    s16 x;
    s16 height;
    s16 speed_x;
    s16 speed_y;
    s16 ball_x;
    s16 ball_speed;
    u8 action;
    u8 move;
    u8 frame;
    u8 attacks;
    u8 ball_active;
} Sight;

typedef struct {
    Sight sights[SIGHTS];
    u8 memories[MEMORIES]; /* kinds of the attacks that it saw begin */
    u8 memory_at;
    u8 sight_at;
    u8 attacks_seen;
    u8 plan; /* a Plan, the frames since it began and those until it must end */
    u8 plan_frame;
    u8 plan_limit;
    u8 style; /* being played: "mixed" changes it */
    u8 style_frames;
    u8 button;     /* of the plan: LIGHT_PUNCH ... */
    u8 alert;      /* what is happening, and the number drawn for it */
    u8 alert_roll;
} Computer;

typedef struct {
    u32 magic;
    u32 random;
    u8 version;
    u8 phase; /* a Phase */
    u16 phase_frame;
    u8 round; /* from 1 */
    u8 opponent; /* 8 * strength + style */
    u8 versus;   /* two human players */
    u8 swapped;  /* player 1 starts on the right */
    u8 ending;   /* an Ending */
    u8 winner;   /* of the round or match: 0 nobody, 1, 2 */
    u16 previous_pads[2];
    Computer computer;
} Game;

typedef struct {
    Fighter fighters[2]; /* 0xFF8000, 0xFF8280 */
    u8 unused_0500[0xB00];
    Game game; /* 0xFF9000 */
    u8 unused_after[0x72A - sizeof(Game)];
    u16 timer; /* 0xFF972A */
} Ram;

_Static_assert(offsetof(Fighter, status) == 0x002, "status");
_Static_assert(offsetof(Fighter, x) == 0x006, "x");
_Static_assert(offsetof(Fighter, y) == 0x00A, "y");
_Static_assert(offsetof(Fighter, health) == 0x042, "health");
_Static_assert(offsetof(Fighter, continue_timer) == 0x1D5, "continue_timer");
_Static_assert(offsetof(Fighter, rounds_won) == 0x1DA, "rounds_won");
_Static_assert(offsetof(Fighter, score) == 0x1E8, "score");
_Static_assert(sizeof(Fighter) == 0x280, "a fighter");
_Static_assert(offsetof(Ram, game) == 0x1000, "game");
_Static_assert(offsetof(Ram, timer) == 0x172A, "timer");

extern Ram ram;

/* A random number, 0 to 255. */
u8 draw_random(void);

#endif
