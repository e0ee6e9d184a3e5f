#include "plans.h"
#include "fight.h"
#include "moves.h"

static const u16 buttons[BUTTONS] = {BUTTON_X, BUTTON_Y, BUTTON_Z, BUTTON_A, BUTTON_B, BUTTON_C};

void plan_begin(Computer *computer, Plan plan, u8 frames) {
    computer->plan = plan;
    computer->plan_frame = 0;
    computer->plan_limit = frames;
}

/* Presses `button` once it is near enough, else walks. */
static u16 strike(Computer *computer, s16 away, u16 forward, u16 low, u8 first_move) {
    s16 reach = moves[first_move + computer->button].reach + BODY - 3;
    if (away > reach) return forward;
    if (computer->plan_frame < computer->plan_limit) computer->plan_limit = computer->plan_frame;
    return low | buttons[computer->button];
}

u16 plan_pad(Computer *computer, const Fighter *self, const Sight *seen) {
    u16 forward = self->facing > 0 ? RIGHT : LEFT, back = forward ^ (LEFT | RIGHT);
    s16 away = (seen->x - (s16)self->x) * self->facing;
    u8 frame = computer->plan_frame++;
    switch (computer->plan) {
    case ADVANCE:
        return forward;
    case RETREAT:
    case GUARD_HIGH:
        return back;
    case GUARD:
        return back | DOWN;
    case STRIKE:
        return strike(computer, away, forward, 0, STANDING_MOVES);
    case STRIKE_LOW:
        return strike(computer, away, forward, DOWN, CROUCHING_MOVES);
    case THROW_IT:
        if (away > THROW_REACH) return forward;
        if (computer->plan_frame < computer->plan_limit) computer->plan_limit = computer->plan_frame;
        return forward | BUTTON_Z;
    case JUMP_IN:
        if (self->height == 0) return frame < 4 ? UP | forward : 0;
        return self->speed_y < -24 && away < 70 ? BUTTON_C : 0;
    case JUMP_BACK:
        return frame < 4 ? UP | back : 0;
    case HOP:
        return frame < 4 ? UP | forward : 0;
    case FIREBALL: {
        u16 steps[] = {DOWN, DOWN, DOWN | forward, DOWN | forward, forward, forward | buttons[computer->button]};
        return frame < 6 ? steps[frame] : 0;
    }
    case UPPERCUT:
        return frame == 0 ? DOWN : DOWN | BUTTON_Z;
    default:
        return 0;
    }
}
