/* Rounds, matches and what lies between them. */
#ifndef MATCH_H
#define MATCH_H

#include "ram.h"

typedef enum {
    TITLE,
    INTRO,    /* "ROUND 1", "FIGHT": nobody moves, the timer holds TIMER_START */
    FIGHTING,
    ROUND_OVER, /* health and timer stand still; who won is not counted yet */
    RESULT,     /* now it is */
    NEXT_OPPONENT,
    CONTINUE,
    GAME_OVER,
    CHAMPION,
} Phase;

typedef enum { BY_KO, BY_TIME } Ending;

enum {
    INTRO_FRAMES = 90,
    FIGHT_SIGN_FRAME = 55, /* of the intro: "FIGHT" */
    ROUND_OVER_FRAMES = 70,
    RESULT_FRAMES = 80,
    NEXT_FRAMES = 90,
    SECOND = 60,
    LAST_ROUND = 4, /* the extra round, after draws */
};

void game_start(void);

/* Plays a frame with these pads. */
void game_frame(u16 pad_1, u16 pad_2);

#endif
