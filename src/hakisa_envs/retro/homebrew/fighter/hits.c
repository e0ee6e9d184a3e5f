#include "hits.h"
#include "fight.h"
#include "moves.h"

enum {
    STANDING_HEIGHT = 60,
    CROUCHING_HEIGHT = 41,
    BEHIND = 8,    /* pixels behind its middle that an attack still covers */
    CHIP = 3,      /* what a blocked fireball costs */
    MOST_HITS = 4, /* in a row, after which the target falls and is out of reach */
};

static u8 is_low(const Fighter *fighter) {
    u8 move = fighter->move;
    if (fighter->action == ATTACKING) {
        return move >= CROUCHING_MOVES && move < JUMPING_MOVES && move != CROUCHING_MOVES + HEAVY_PUNCH; /* it rises */
    }
    return fighter->low && (fighter->action == CROUCHING || fighter->action == BLOCKING || fighter->action == REELING);
}

/* Whether a body is between two heights above the ground, in pixels. */
static u8 body_is_at(const Fighter *target, s16 bottom, s16 top) {
    s16 feet = target->height >> 4;
    s16 head = feet + (is_low(target) ? CROUCHING_HEIGHT : STANDING_HEIGHT);
    if (feet > 0) feet += 6; /* the legs are drawn up */
    return bottom < head && top > feet;
}

static u8 is_out_of_reach(const Fighter *target) {
    return target->safe || target->action == FALLING || target->action == LYING || target->action == THROWN ||
           target->action == THROWING;
}

static u8 limb_hits(const Fighter *attacker, const Fighter *target) {
    if (attacker->action != ATTACKING || attacker->connected || is_out_of_reach(target)) return 0;
    const Move *move = &moves[attacker->move];
    if (attacker->frame < move->startup || attacker->frame >= move->startup + move->active) return 0;
    s16 away = gap(attacker, target), feet = attacker->height >> 4;
    if (away < -BEHIND || away > move->reach + BODY) return 0;
    return body_is_at(target, feet + move->bottom, feet + move->top);
}

static u8 ball_hits(const Fighter *attacker, const Fighter *target) {
    if (!attacker->ball_active || is_out_of_reach(target)) return 0;
    s16 away = (s16)target->x - attacker->ball_x;
    if (away < 0) away = -away;
    return away <= BALL_REACH + BODY && body_is_at(target, BALL_BOTTOM, BALL_TOP);
}

/* Holding back, on the ground, free to act, and at the right height. */
static u8 blocks(const Fighter *target, u8 level) {
    u16 back = target->facing > 0 ? LEFT : RIGHT;
    if (target->height || !(target->pad & back)) return 0;
    if (target->action > CROUCHING && target->action != BLOCKING) return 0;
    u8 low = (target->pad & DOWN) != 0;
    return level == MIDDLE || (level == LOW && low) || (level == OVERHEAD && !low);
}

void take_damage(Fighter *attacker, Fighter *target, u8 damage, u8 score) {
    target->health = target->health >= (s16)damage ? target->health - damage : KNOCKED_OUT;
    add_score(attacker, (u32)score << 8);
}

static void hit(Fighter *attacker, Fighter *target, const Move *move, s16 side, u8 is_ball) {
    u8 blocked = blocks(target, move->level);
    if (blocked) {
        target->low = (target->pad & DOWN) != 0;
        if (is_ball) take_damage(attacker, target, CHIP, 0);
    } else {
        take_damage(attacker, target, move->damage, move->score);
        target->hits_taken++;
    }
    u8 is_felled = target->height || move->knocks_down || target->hits_taken > MOST_HITS;
    u8 falls = target->health < 0 || (!blocked && is_felled);
    target->action = falls ? FALLING : blocked ? BLOCKING : REELING;
    target->frame = 0;
    target->stun = blocked ? move->block_stun : move->hit_stun;
    /* Who has a wall behind him cannot be pushed: the attacker is. */
    u8 cornered = target->x == (side > 0 ? RIGHT_WALL : LEFT_WALL);
    target->speed_x = side * (falls ? 36 : move->push);
    if (cornered && !is_ball && attacker->height == 0) attacker->speed_x = -side * move->push;
    if (falls) {
        target->low = 0;
        target->speed_y = 64;
        if (target->height == 0) target->height = 1;
    }
}

void settle_hits(Fighter *one, Fighter *two) {
    Fighter *fighters[2] = {one, two};
    u8 limb[2], ball[2];
    s16 side[2], ball_side[2];
    for (u8 i = 0; i < 2; i++) {
        Fighter *attacker = fighters[i], *target = fighters[!i];
        limb[i] = limb_hits(attacker, target);
        ball[i] = ball_hits(attacker, target);
        side[i] = attacker->facing;
        ball_side[i] = attacker->ball_speed > 0 ? 1 : -1;
    }
    for (u8 i = 0; i < 2; i++) {
        Fighter *attacker = fighters[i], *target = fighters[!i];
        if (limb[i]) {
            attacker->connected = 1;
            hit(attacker, target, &moves[attacker->move], side[i], 0);
        }
        if (ball[i]) {
            attacker->ball_active = 0;
            hit(attacker, target, &ball_move, ball_side[i], 1);
        }
    }
}
