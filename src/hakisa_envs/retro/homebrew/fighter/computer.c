#include "computer.h"
#include "fight.h"
#include "moves.h"
#include "plans.h"

typedef struct {
    u8 delay;      /* frames between what happens and what is seen of it */
    u8 guards;     /* chances of 256: to block, to punish, to hit a jump */
    u8 punishes;
    u8 uppercuts;
    u8 rests;      /* frames without a plan, at most (one less than a power of 2) */
} Strength;

static const Strength strengths[STRENGTHS] = {
    [EASY] = {30, 32, 12, 8, 255},
    [NORMAL] = {28, 48, 24, 16, 127},
    [HARD] = {14, 200, 160, 140, 31},
};

enum {
    FAR = 112, /* pixels */
    NEAR = 64,
    FORESEEN_DELAY = 3, /* frames; for an attack that was seen coming */
    FORESEEN_TIMES = 3, /* of the last MEMORIES, with which an attack is foreseen */
    CAST_MEMORY = MOVES,
    THROW_MEMORY,
    NO_MEMORY,
};

/* What each style does when nothing happens, one of sixteen by chance: far, between, near. */
static const u8 neutral[STYLES][3][16] = {
    [PASSIVE] =
        {
            {WAIT, WAIT, WAIT, WAIT, WAIT, ADVANCE, ADVANCE, ADVANCE,
             GUARD, GUARD, RETREAT, WAIT, WAIT, ADVANCE, WAIT, FIREBALL},
            {WAIT, WAIT, WAIT, GUARD, GUARD, GUARD, RETREAT, RETREAT,
             ADVANCE, GUARD, GUARD, WAIT, WAIT, STRIKE_LOW, GUARD, WAIT},
            {GUARD, GUARD, GUARD, GUARD, GUARD, RETREAT, RETREAT, STRIKE,
             STRIKE_LOW, GUARD, GUARD, GUARD, JUMP_BACK, GUARD, GUARD, STRIKE_LOW},
        },
    [TURTLE] =
        {
            {GUARD, GUARD, GUARD, WAIT, ADVANCE, ADVANCE, FIREBALL, FIREBALL,
             GUARD, GUARD, ADVANCE, FIREBALL, GUARD, ADVANCE, WAIT, GUARD},
            {GUARD, GUARD, GUARD, GUARD, GUARD, STRIKE_LOW, STRIKE_LOW, STRIKE,
             FIREBALL, GUARD, GUARD, RETREAT, GUARD, GUARD, STRIKE, GUARD},
            {GUARD, GUARD, GUARD, GUARD, STRIKE_LOW, STRIKE_LOW, STRIKE_LOW, STRIKE,
             THROW_IT, GUARD, GUARD, STRIKE, GUARD, JUMP_BACK, THROW_IT, GUARD},
        },
    [RUSHER] =
        {
            {ADVANCE, ADVANCE, ADVANCE, ADVANCE, ADVANCE, ADVANCE, JUMP_IN, JUMP_IN,
             ADVANCE, ADVANCE, STRIKE, STRIKE_LOW, JUMP_IN, ADVANCE, FIREBALL, ADVANCE},
            {ADVANCE, STRIKE, STRIKE, STRIKE_LOW, STRIKE_LOW, JUMP_IN, THROW_IT, THROW_IT,
             STRIKE, STRIKE_LOW, ADVANCE, GUARD, GUARD, JUMP_IN, STRIKE, STRIKE_LOW},
            {STRIKE, STRIKE, STRIKE, STRIKE_LOW, STRIKE_LOW, STRIKE_LOW, THROW_IT, THROW_IT,
             THROW_IT, THROW_IT, GUARD, GUARD, STRIKE, STRIKE_LOW, JUMP_IN, STRIKE},
        },
    [ZONER] =
        {
            {FIREBALL, FIREBALL, FIREBALL, FIREBALL, FIREBALL, FIREBALL, WAIT, WAIT,
             WAIT, WAIT, RETREAT, GUARD, RETREAT, GUARD, WAIT, WAIT},
            {FIREBALL, FIREBALL, FIREBALL, RETREAT, RETREAT, RETREAT, STRIKE, STRIKE_LOW,
             GUARD, GUARD, JUMP_BACK, WAIT, STRIKE, STRIKE_LOW, GUARD, RETREAT},
            {STRIKE, STRIKE, STRIKE_LOW, STRIKE_LOW, STRIKE_LOW, RETREAT, JUMP_BACK, JUMP_BACK,
             GUARD, GUARD, GUARD, THROW_IT, THROW_IT, STRIKE, GUARD, STRIKE_LOW},
        },
};

/* Buttons that a strike may have: standing and crouching. */
static const u8 strikes[8] = {LIGHT_PUNCH, MEDIUM_PUNCH, HEAVY_PUNCH, LIGHT_KICK,
                              MEDIUM_KICK, HEAVY_KICK,   MEDIUM_KICK, MEDIUM_PUNCH};
static const u8 low_strikes[8] = {LIGHT_PUNCH, MEDIUM_PUNCH, HEAVY_KICK, LIGHT_KICK,
                                  MEDIUM_KICK, MEDIUM_KICK,  HEAVY_KICK, LIGHT_KICK};

void computer_begin(Computer *computer, u8 opponent) {
    for (u8 i = 0; i < MEMORIES; i++) computer->memories[i] = NO_MEMORY;
    computer->memory_at = computer->sight_at = computer->attacks_seen = 0;
    computer->style = style_of(opponent);
    computer->style_frames = 0;
    computer->alert = computer->alert_roll = 0;
    plan_begin(computer, WAIT, 0);
}

static void look(Computer *computer, const Fighter *other) {
    Sight *sight = &computer->sights[computer->sight_at = (computer->sight_at + 1) & (SIGHTS - 1)];
    sight->x = other->x;
    sight->height = other->height >> 4;
    sight->speed_x = other->speed_x;
    sight->speed_y = other->speed_y;
    sight->ball_x = other->ball_x;
    sight->ball_speed = other->ball_speed;
    sight->action = other->action;
    sight->move = other->move;
    sight->frame = other->frame;
    sight->attacks = other->attacks;
    sight->ball_active = other->ball_active;
}

static const Sight *sight_of(const Computer *computer, u8 delay) {
    return &computer->sights[(computer->sight_at - delay) & (SIGHTS - 1)];
}

static void remember(Computer *computer, const Sight *seen) {
    if (seen->attacks == computer->attacks_seen) return;
    computer->attacks_seen = seen->attacks;
    u8 kind = seen->action == CASTING ? CAST_MEMORY : seen->action == THROWING ? THROW_MEMORY : seen->move;
    computer->memories[computer->memory_at = (computer->memory_at + 1) & (MEMORIES - 1)] = kind;
}

/* The attack that is being repeated, or NO_MEMORY. */
static u8 repeated(const Computer *computer) {
    u8 last = computer->memories[computer->memory_at], times = 0;
    for (u8 i = 0; i < MEMORIES; i++) times += computer->memories[i] == last;
    return times >= FORESEEN_TIMES ? last : NO_MEMORY;
}

/* Begins to hit with the quickest, strongest attack that gets there in `frames`; 0 if there is none. */
static u8 punish(Computer *computer, s16 away, s16 frames) {
    static const u8 best_first[] = {
        CROUCHING_MOVES + HEAVY_KICK, STANDING_MOVES + MEDIUM_KICK,  CROUCHING_MOVES + MEDIUM_KICK,
        STANDING_MOVES + MEDIUM_PUNCH, CROUCHING_MOVES + LIGHT_KICK, CROUCHING_MOVES + LIGHT_PUNCH,
    };
    if (away <= THROW_REACH && frames > 1) {
        plan_begin(computer, THROW_IT, 3);
        return 1;
    }
    for (u8 i = 0; i < sizeof best_first; i++) {
        const Move *move = &moves[best_first[i]];
        if (move->startup + 1 >= frames || away > move->reach + BODY - 3) continue;
        u8 low = best_first[i] >= CROUCHING_MOVES;
        computer->button = low ? best_first[i] - CROUCHING_MOVES : best_first[i];
        plan_begin(computer, low ? STRIKE_LOW : STRIKE, 4);
        return 1;
    }
    return 0;
}

/* What is done about what the other does; 0 if nothing needs to be. */
static u8 react(Computer *computer, const Strength *strength, const Fighter *self, const Sight *seen, u8 foreseen) {
    s16 away = (seen->x - (s16)self->x) * self->facing;
    u8 delay = foreseen == NO_MEMORY ? strength->delay : FORESEEN_DELAY;

    /* One number is drawn for each thing that happens, not one for each frame of it. */
    u8 alert = seen->attacks << 2 | (seen->height > 0) << 1 | seen->ball_active;
    if (alert != computer->alert) {
        computer->alert = alert;
        computer->alert_roll = draw_random();
    }
    u8 roll = foreseen == NO_MEMORY ? computer->alert_roll : 0; /* what is foreseen is always answered */

    if (seen->ball_active) {
        s16 ball_away = (seen->ball_x + seen->ball_speed * delay - (s16)self->x) * self->facing;
        u8 comes = seen->ball_speed * self->facing < 0;
        if (comes && ball_away > -20 && ball_away < 75) {
            if (roll >= strength->guards) return 0;
            if (ball_away > 36 && ball_away < 64 && away < 190 && (foreseen == CAST_MEMORY || roll < 60)) {
                plan_begin(computer, away < 130 ? JUMP_IN : HOP, 44);
            } else {
                plan_begin(computer, GUARD, 6);
            }
            return 1;
        }
    }
    if (seen->height > 0) {
        s16 height = seen->height + ((seen->speed_y * delay) >> 4) - ((3 * delay * delay) >> 4);
        s16 soon = away + (((seen->speed_x * delay) >> 4) * self->facing);
        if (height > 0 && soon < 78 && soon > -20) {
            if (roll < strength->uppercuts && height < 74 && soon < 46) {
                plan_begin(computer, UPPERCUT, 2);
            } else if (roll < strength->guards) {
                plan_begin(computer, GUARD_HIGH, 2);
            } else {
                return 0;
            }
            return 1;
        }
        return 0;
    }
    if (seen->action == ATTACKING && seen->move < JUMPING_MOVES) {
        const Move *move = &moves[seen->move];
        s16 left = move->startup + move->active + move->recovery - seen->frame - delay;
        u8 is_past = seen->frame + delay >= move->startup + move->active;
        if (is_past && roll < strength->punishes && punish(computer, away, left)) return 1;
        if (away < move->reach + BODY + 12 && roll < strength->guards) {
            plan_begin(computer, GUARD, is_past ? 3 : 6);
            return 1;
        }
    }
    if (seen->action == CASTING && roll < strength->punishes) {
        s16 left = BALL_STARTUP + BALL_RECOVERY - seen->frame - delay;
        if (punish(computer, away, left)) return 1;
        if (away < 130 && away > 50 && left > 26) {
            plan_begin(computer, JUMP_IN, 44);
            return 1;
        }
    }
    return 0;
}

/* An answer to an attack that comes again and again, before it comes. */
static void answer(Computer *computer, s16 away, u8 foreseen) {
    u8 roll = draw_random();
    if (foreseen == CAST_MEMORY) {
        if (away < NEAR + 12) {
            computer->button = MEDIUM_KICK;
            plan_begin(computer, roll < 128 ? STRIKE : STRIKE_LOW, 12);
        } else {
            plan_begin(computer, roll < 200 ? GUARD : ADVANCE, 6);
        }
    } else if (foreseen == THROW_MEMORY) {
        computer->button = roll < 64 ? MEDIUM_PUNCH : roll < 128 ? MEDIUM_KICK : HEAVY_KICK;
        plan_begin(computer, away < 50 ? JUMP_BACK : roll < 64 ? FIREBALL : STRIKE_LOW, 30);
    } else if (foreseen >= JUMPING_MOVES) {
        plan_begin(computer, away < 60 ? GUARD_HIGH : WAIT, 3);
    } else {
        s16 safe = moves[foreseen].reach + BODY + 4;
        if (away < safe) {
            plan_begin(computer, roll < 150 ? GUARD : RETREAT, 8);
        } else if (roll < 160) {
            computer->button = MEDIUM_PUNCH;
            plan_begin(computer, FIREBALL, 7);
        } else {
            plan_begin(computer, roll < 210 ? JUMP_IN : RETREAT, roll < 210 ? 44 : 6);
        }
    }
}

static void follow_style(Computer *computer, s16 away) {
    u8 range = away > FAR ? 0 : away > NEAR ? 1 : 2;
    Plan plan = neutral[computer->style][range][draw_random() & 15];
    u8 roll = draw_random(), frames = 10 + (roll & 15);
    if (plan == STRIKE || plan == STRIKE_LOW) {
        computer->button = (plan == STRIKE ? strikes : low_strikes)[roll & 7];
        frames = 30;
    } else if (plan == THROW_IT) {
        frames = 36;
    } else if (plan == FIREBALL) {
        computer->button = (roll & 3) == 0 ? LIGHT_PUNCH : (roll & 3) == 3 ? HEAVY_PUNCH : MEDIUM_PUNCH;
        frames = 7;
    } else if (plan == JUMP_IN || plan == JUMP_BACK) {
        frames = 44;
    }
    plan_begin(computer, plan, frames);
}

static void change_style(Computer *computer, u8 opponent) {
    if (style_of(opponent) != MIXED) return;
    if (computer->style_frames == 0) {
        computer->style = TURTLE + ((draw_random() * 3) >> 8);
        computer->style_frames = 120 + (draw_random() & 127);
    }
    computer->style_frames--;
}

u16 computer_pad(Computer *computer, u8 opponent, const Fighter *self, const Fighter *other) {
    const Strength *strength = &strengths[strength_of(opponent)];
    look(computer, other);
    remember(computer, sight_of(computer, strength->delay));
    change_style(computer, opponent);
    u8 foreseen = repeated(computer);
    const Sight *seen = sight_of(computer, foreseen == NO_MEMORY ? strength->delay : FORESEEN_DELAY);
    s16 away = (seen->x - (s16)self->x) * self->facing;

    u8 acts = self->action <= CROUCHING || self->action == BLOCKING;
    u8 is_busy = computer->plan_frame < computer->plan_limit;
    u8 may_break = computer->plan <= GUARD_HIGH || computer->plan == STRIKE || computer->plan == STRIKE_LOW ||
                   computer->plan == THROW_IT;
    if (acts && (!is_busy || may_break) && !(is_busy && computer->plan_frame == 0)) {
        if (!react(computer, strength, self, seen, foreseen) && !is_busy) {
            if (foreseen != NO_MEMORY) {
                answer(computer, away, foreseen);
            } else if (computer->plan != WAIT && (draw_random() & 1)) {
                plan_begin(computer, away < 80 ? GUARD : WAIT, draw_random() & strength->rests);
            } else {
                follow_style(computer, away);
            }
        }
    } else if (!acts && !is_busy) {
        plan_begin(computer, GUARD, 2); /* what it would do as soon as it can */
    }
    return plan_pad(computer, self, seen);
}
