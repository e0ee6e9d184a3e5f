#include "fight.h"
#include "hits.h"
#include "moves.h"

enum {
    WALK_FORWARD = 32, /* 1/16 pixel a frame */
    WALK_BACK = 26,
    JUMP_FORWARD = 40,
    JUMP_UP = 120,
    GRAVITY = 6,
    CROUCH_TO_JUMP = 3, /* frames */
    APART = 28,         /* pixels between two middles on the ground */
    MOTION_FRAMES = 14, /* within which the next step of a motion must follow */
    LIE_FRAMES = 28,
    RISE_FRAMES = 16,
    THREAT = 84, /* pixels within which an attack makes the other block instead of walk back */
};

s16 gap(const Fighter *from, const Fighter *to) { return (s16)(to->x - from->x) * from->facing; }

static void begin(Fighter *fighter, Action action) {
    fighter->action = action;
    fighter->frame = 0;
    fighter->connected = 0;
}

void stand_up(Fighter *fighter, s16 x, s16 facing) {
    begin(fighter, STANDING);
    fighter->fine_x = x << 4;
    fighter->x = x;
    fighter->y = GROUND;
    fighter->height = fighter->speed_x = fighter->speed_y = 0;
    fighter->facing = facing;
    fighter->move = fighter->stun = fighter->low = fighter->safe = fighter->hits_taken = 0;
    fighter->motion = fighter->motion_frames = fighter->ball_active = 0;
    fighter->health = FULL_HEALTH;
    fighter->status = STATUS_STAND;
}

void add_score(Fighter *fighter, u32 bcd) {
    u8 carry = 0;
    for (s16 byte = 3; byte >= 0; byte--, bcd >>= 8) {
        u8 low = (fighter->score[byte] & 15) + (bcd & 15) + carry;
        carry = low > 9;
        if (carry) low -= 10;
        u8 high = (fighter->score[byte] >> 4) + ((bcd >> 4) & 15) + carry;
        carry = high > 9;
        if (carry) high -= 10;
        fighter->score[byte] = high << 4 | low;
    }
}

static u16 forward_of(const Fighter *fighter) { return fighter->facing > 0 ? RIGHT : LEFT; }
static u16 back_of(const Fighter *fighter) { return fighter->facing > 0 ? LEFT : RIGHT; }

/* Down, down-forward, forward, each soon after the one before. */
static void follow_motion(Fighter *fighter) {
    u16 direction = fighter->pad & (UP | DOWN | LEFT | RIGHT), forward = forward_of(fighter);
    if (fighter->motion_frames && --fighter->motion_frames == 0) fighter->motion = 0;
    if (direction == DOWN) {
        fighter->motion = 1;
    } else if (direction == (DOWN | forward) && (fighter->motion == 1 || fighter->motion == 2)) {
        fighter->motion = 2;
    } else if (direction == forward && fighter->motion == 2) {
        fighter->motion = 3;
    } else {
        return;
    }
    if (fighter->motion < 3 || fighter->motion_frames == 0) fighter->motion_frames = MOTION_FRAMES;
}

/* The heaviest button that was pressed; punches before kicks. */
static s16 pressed_button(u16 pressed) {
    if (pressed & BUTTON_Z) return HEAVY_PUNCH;
    if (pressed & BUTTON_C) return HEAVY_KICK;
    if (pressed & BUTTON_Y) return MEDIUM_PUNCH;
    if (pressed & BUTTON_B) return MEDIUM_KICK;
    if (pressed & BUTTON_X) return LIGHT_PUNCH;
    if (pressed & BUTTON_A) return LIGHT_KICK;
    return -1;
}

static u8 is_threatened(const Fighter *fighter, const Fighter *other) {
    if (other->ball_active) {
        s16 away = (other->ball_x - (s16)fighter->x) * fighter->facing;
        if (away > -BODY && away < THREAT) return 1;
    }
    return (other->action == ATTACKING || other->action == CASTING) && gap(fighter, other) < THREAT;
}

static void attack(Fighter *fighter, u8 move) {
    begin(fighter, ATTACKING);
    fighter->move = move;
    fighter->attacks++;
}

static u8 can_throw(const Fighter *fighter, const Fighter *other) {
    return gap(fighter, other) <= THROW_REACH && other->height == 0 && other->safe == 0 &&
           (other->action <= CROUCHING || other->action == ATTACKING || other->action == CASTING ||
            (other->action == BLOCKING && other->stun == 0));
}

static void throw(Fighter *fighter, Fighter *other, u16 direction) {
    begin(fighter, THROWING);
    fighter->attacks++;
    fighter->speed_x = 0;
    begin(other, THROWN);
    /* Thrown back: the other flies over the thrower. */
    if (direction == back_of(fighter)) {
        fighter->facing = -fighter->facing;
        other->fine_x = fighter->fine_x + fighter->facing * (APART << 4);
    }
    other->facing = -fighter->facing;
    other->speed_x = other->stun = other->low = 0;
    take_damage(fighter, other, THROW_DAMAGE, 0x05);
}

/* Lets a fighter that is free to act do what its pad says. */
static void choose(Fighter *fighter, Fighter *other) {
    u16 pad = fighter->pad, forward = forward_of(fighter), back = back_of(fighter);
    s16 button = pressed_button(fighter->pressed);
    fighter->low = (pad & DOWN) != 0;
    fighter->speed_x = 0;
    fighter->hits_taken = 0;
    if (fighter->motion == 3 && (fighter->pressed & PUNCHES) && !fighter->ball_active) {
        begin(fighter, CASTING);
        fighter->attacks++;
        fighter->motion = fighter->low = 0;
        fighter->ball_power = (fighter->pressed & BUTTON_Z) ? 2 : (fighter->pressed & BUTTON_Y) ? 1 : 0;
    } else if (button >= 0) {
        u8 light = button == LIGHT_PUNCH || button == LIGHT_KICK;
        if (!light && !fighter->low && (pad & (forward | back)) && can_throw(fighter, other)) {
            throw(fighter, other, pad & (forward | back));
        } else {
            attack(fighter, (fighter->low ? CROUCHING_MOVES : STANDING_MOVES) + button);
        }
    } else if (pad & UP) {
        begin(fighter, JUMPING);
        fighter->low = 0;
        fighter->speed_x = (pad & RIGHT) ? JUMP_FORWARD : (pad & LEFT) ? -JUMP_FORWARD : 0;
    } else if ((pad & back) && is_threatened(fighter, other)) {
        fighter->action = BLOCKING;
    } else if (pad & DOWN) {
        fighter->action = CROUCHING;
    } else if (pad & (LEFT | RIGHT)) {
        if (fighter->action != WALKING) begin(fighter, WALKING);
        fighter->speed_x = fighter->facing * ((pad & forward) ? WALK_FORWARD : -WALK_BACK);
    } else {
        if (fighter->action != STANDING) begin(fighter, STANDING);
    }
}

static void cast(Fighter *fighter) {
    if (fighter->frame == BALL_STARTUP) {
        fighter->ball_active = 1;
        fighter->ball_speed = fighter->facing * ball_speed[fighter->ball_power];
        fighter->ball_x = (s16)fighter->x + fighter->facing * 30;
    }
}

static u8 is_free(const Fighter *fighter) {
    return fighter->action <= CROUCHING || (fighter->action == BLOCKING && fighter->stun == 0);
}

/* Ends what has lasted long enough, and begins what comes after it. */
static void go_on(Fighter *fighter) {
    const Move *move = &moves[fighter->move];
    u8 frame = ++fighter->frame;
    if (frame == 255) fighter->frame = 192; /* long poses go round */
    if (fighter->stun && fighter->action != FALLING) fighter->stun--;
    if (fighter->safe) fighter->safe--;
    switch (fighter->action) {
    case JUMPING:
        if (frame == CROUCH_TO_JUMP) fighter->speed_y = JUMP_UP;
        break;
    case ATTACKING:
        if (fighter->height == 0 && frame >= move->startup + move->active + move->recovery) begin(fighter, STANDING);
        break;
    case CASTING:
        cast(fighter);
        if (frame >= BALL_STARTUP + BALL_RECOVERY) begin(fighter, STANDING);
        break;
    case THROWING:
        if (frame >= THROW_FRAMES) begin(fighter, STANDING);
        break;
    case THROWN:
        if (frame >= THROW_FRAMES / 2) {
            begin(fighter, FALLING);
            fighter->height = 24 << 4;
            fighter->speed_x = -fighter->facing * 48;
            fighter->speed_y = 48;
        }
        break;
    case REELING:
        if (fighter->stun == 0) begin(fighter, STANDING);
        break;
    case LYING:
        fighter->safe = 2;
        if (fighter->health < 0) {
            begin(fighter, BEATEN);
        } else if (frame >= LIE_FRAMES) {
            begin(fighter, RISING);
        }
        break;
    case RISING:
        fighter->safe = 6;
        if (frame >= RISE_FRAMES) begin(fighter, STANDING);
        break;
    default:
        break;
    }
}

static void land(Fighter *fighter) {
    fighter->height = fighter->speed_y = fighter->speed_x = 0;
    if (fighter->action == FALLING) {
        begin(fighter, LYING);
        fighter->stun = 0;
    } else {
        begin(fighter, STANDING);
    }
}

static void fly_or_slide(Fighter *fighter) {
    if (fighter->speed_y || fighter->height) {
        fighter->height += fighter->speed_y;
        fighter->speed_y -= GRAVITY;
        if (fighter->height <= 0) land(fighter);
    } else if (fighter->action == JUMPING) {
        return; /* about to leave the ground */
    } else if (fighter->action != WALKING) {
        s16 speed = fighter->speed_x, less = ((speed < 0 ? -speed : speed) >> 3) + 1;
        fighter->speed_x = speed > less ? speed - less : speed < -less ? speed + less : 0;
    }
    fighter->fine_x += fighter->speed_x;
}

static void keep_inside(Fighter *fighter) {
    if (fighter->fine_x < LEFT_WALL << 4) fighter->fine_x = LEFT_WALL << 4;
    if (fighter->fine_x > RIGHT_WALL << 4) fighter->fine_x = RIGHT_WALL << 4;
    fighter->x = fighter->fine_x >> 4;
}

static u8 is_solid(const Fighter *fighter) {
    return fighter->action != THROWN && fighter->action != FALLING && fighter->action != LYING &&
           fighter->action != BEATEN;
}

/* Two bodies do not stand in one place; in the air they pass. */
static void push_apart(Fighter *one, Fighter *two) {
    s16 away = two->fine_x - one->fine_x, above = two->height - one->height;
    if (!is_solid(one) || !is_solid(two)) return;
    if (above < 0) above = -above;
    s16 side = away > 0 || (away == 0 && one->facing > 0) ? 1 : -1;
    s16 inside = (APART << 4) - side * away;
    if (inside <= 0 || above > 40 << 4) return;
    one->fine_x -= side * (inside >> 1);
    two->fine_x += side * (inside - (inside >> 1));
    keep_inside(one);
    keep_inside(two);
    away = two->fine_x - one->fine_x;
    inside = (APART << 4) - side * away;
    if (inside <= 0) return;
    /* One has the wall behind it, and the other must give way. */
    if (one->fine_x == (side > 0 ? LEFT_WALL : RIGHT_WALL) << 4) {
        two->fine_x += side * inside;
    } else {
        one->fine_x -= side * inside;
    }
    keep_inside(one);
    keep_inside(two);
}

static void move_ball(Fighter *fighter, Fighter *other) {
    if (!fighter->ball_active) return;
    fighter->ball_x += fighter->ball_speed;
    if (fighter->ball_x < LEFT_WALL - 24 || fighter->ball_x > RIGHT_WALL + 24) fighter->ball_active = 0;
    if (other->ball_active) {
        s16 away = other->ball_x - fighter->ball_x;
        if (away > -12 && away < 12) fighter->ball_active = other->ball_active = 0;
    }
}

static u16 status_of(const Fighter *fighter) {
    static const u16 plain[] = {
        [STANDING] = STATUS_STAND,   [WALKING] = STATUS_STAND,    [CROUCHING] = STATUS_CROUCH,
        [JUMPING] = STATUS_JUMP,     [BLOCKING] = STATUS_BLOCK,   [ATTACKING] = STATUS_ATTACK,
        [CASTING] = STATUS_SPECIAL,  [THROWING] = STATUS_SPECIAL, [THROWN] = STATUS_THROWN,
        [REELING] = STATUS_STUNNED,  [FALLING] = STATUS_STUNNED,  [LYING] = STATUS_STUNNED,
        [RISING] = STATUS_STUNNED,   [BEATEN] = STATUS_BEATEN,    [WINNING] = STATUS_WINNER,
    };
    if (fighter->health < 0) return STATUS_BEATEN;
    if (fighter->action == BLOCKING && fighter->low) return STATUS_BLOCK_LOW;
    return plain[fighter->action];
}

static void act(Fighter *fighter, Fighter *other, u8 control) {
    if (!control) {
        if (is_free(fighter) && fighter->action != STANDING) begin(fighter, STANDING);
        if (fighter->action == STANDING) fighter->low = 0;
        return;
    }
    follow_motion(fighter);
    if (fighter->action == JUMPING && fighter->height > 0) {
        s16 button = pressed_button(fighter->pressed);
        if (button >= 0) attack(fighter, JUMPING_MOVES + button);
    } else if (is_free(fighter)) {
        s16 away = other->fine_x - fighter->fine_x;
        if (away) fighter->facing = away > 0 ? 1 : -1;
        choose(fighter, other);
    }
}

void fight_frame(u8 control) {
    Fighter *one = &ram.fighters[0], *two = &ram.fighters[1];
    /* Who is asked first would win every race for a throw: they take turns. */
    u8 first = ram.game.phase_frame & 1;
    act(first ? one : two, first ? two : one, control);
    act(first ? two : one, first ? one : two, control);
    for (Fighter *fighter = one; fighter <= two; fighter++) {
        go_on(fighter);
        fly_or_slide(fighter);
        keep_inside(fighter);
    }
    push_apart(one, two);
    move_ball(one, two);
    move_ball(two, one);
    if (control) settle_hits(one, two);
    for (Fighter *fighter = one; fighter <= two; fighter++) {
        fighter->y = GROUND - (fighter->height >> 4);
        fighter->status = status_of(fighter);
    }
}
