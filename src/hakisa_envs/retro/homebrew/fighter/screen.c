#include "screen.h"
#include "console.h"
#include "signs.h"
#include "fight.h"
#include "match.h"
#include "moves.h"
#include "tiles.h"

enum {
    CAMERA_X = 128, /* of the stage's pixels, at the screen's left edge */
    FEET_Y = 200,   /* of the screen, for a fighter on the ground */
    MOST_SPRITES = 32,
    MIRRORED = 0x0800,
};

static u16 sprites[4 * MOST_SPRITES];
static u16 sprite_count;

void screen_start(void) {
    static const u16 sprite_off[4];
    video_write(0, tiles, sizeof tiles / 2);
    for (u16 row = 0; row < SCREEN_ROWS; row++) {
        for (u16 column = 0; column < PLANE_WIDTH; column += BACKDROP_WIDTH) {
            u16 words[BACKDROP_WIDTH];
            for (u16 i = 0; i < BACKDROP_WIDTH; i++) words[i] = 0x6000 | backdrop[row * BACKDROP_WIDTH + i];
            video_write(PLANE_B + 2 * (row * PLANE_WIDTH + column), words, BACKDROP_WIDTH);
        }
    }
    video_write(SPRITES, sprite_off, 4);
    colours_write(0, text_colours, 16);
    colours_write(16, suit_colours[0], 16);
    colours_write(48, sky_colours, 16);
}

static void add_sprite(s16 x, s16 y, u8 size, u16 tile) {
    if (sprite_count == MOST_SPRITES) return;
    u16 *sprite = &sprites[4 * sprite_count++];
    sprite[0] = y + 128;
    sprite[1] = size << 8 | sprite_count; /* and the next one after it */
    sprite[2] = tile;
    sprite[3] = x + 128;
}

static u8 attack_pose(const Fighter *fighter) {
    static const u8 poses[MOVES] = {
        POSE_PUNCH,      POSE_PUNCH,      POSE_PUNCH_HEAVY, POSE_KICK,      POSE_KICK,      POSE_KICK_HEAVY,
        POSE_PUNCH_LOW,  POSE_PUNCH_LOW,  POSE_UPPERCUT,    POSE_KICK_LOW,  POSE_KICK_LOW,  POSE_SWEEP,
        POSE_JUMP_PUNCH, POSE_JUMP_PUNCH, POSE_JUMP_PUNCH,  POSE_JUMP_KICK, POSE_JUMP_KICK, POSE_JUMP_KICK,
    };
    const Move *move = &moves[fighter->move];
    u8 is_low = fighter->move >= CROUCHING_MOVES;
    if (fighter->move >= JUMPING_MOVES) {
        return fighter->frame + 1 < move->startup ? POSE_JUMP : poses[fighter->move];
    }
    if (fighter->frame + 1 < move->startup) return is_low ? POSE_WIND_UP_LOW : POSE_WIND_UP;
    if (fighter->frame < move->startup + move->active + (move->recovery >> 1)) return poses[fighter->move];
    return is_low ? POSE_CROUCH : POSE_STAND;
}

static u8 pose_of(const Fighter *fighter) {
    switch (fighter->action) {
    case WALKING:
        return fighter->frame & 8 ? POSE_STEP : POSE_STAND;
    case CROUCHING:
    case RISING:
        return POSE_CROUCH;
    case JUMPING:
        return fighter->height ? POSE_JUMP : POSE_CROUCH;
    case BLOCKING:
        return fighter->low ? POSE_BLOCK_LOW : POSE_BLOCK;
    case ATTACKING:
        return attack_pose(fighter);
    case CASTING:
        if (fighter->frame < BALL_STARTUP - 4) return POSE_WIND_UP;
        return fighter->frame < BALL_STARTUP + 18 ? POSE_CAST : POSE_STAND;
    case THROWING:
        return POSE_THROW;
    case THROWN:
    case FALLING:
        return POSE_FALL;
    case REELING:
        return POSE_HIT;
    case LYING:
    case BEATEN:
        return POSE_LIE;
    case WINNING:
        return POSE_WIN;
    default:
        return POSE_STAND;
    }
}

static void add_fighter(const Fighter *fighter, u16 palette) {
    s16 x = (s16)fighter->x - CAMERA_X, y = FEET_Y - (fighter->height >> 4);
    if (fighter->action == THROWN) y -= 20;
    u8 pose = pose_of(fighter);
    for (u8 i = first_piece[pose]; i < first_piece[pose + 1]; i++) {
        const Piece *piece = &pieces[i];
        if (fighter->facing > 0) {
            add_sprite(x + piece->x, y + piece->y, piece->size, palette | piece->tile);
        } else {
            add_sprite(x - piece->x - piece->width, y + piece->y, piece->size, palette | MIRRORED | piece->tile);
        }
    }
}

static void add_ball(const Fighter *fighter, u16 palette) {
    if (!fighter->ball_active) return;
    u16 tile = BALL_TILE + (ram.game.phase_frame & 4);
    add_sprite(fighter->ball_x - CAMERA_X - 8, FEET_Y - (BALL_BOTTOM + BALL_TOP) / 2 - 8, 5, palette | tile);
}

static void add_fighters(void) {
    const Fighter *one = &ram.fighters[0], *two = &ram.fighters[1];
    add_ball(one, 0x2000);
    add_ball(two, 0x4000);
    /* Who attacks is seen in front. */
    u8 two_first = two->action == ATTACKING && one->action != ATTACKING;
    add_fighter(two_first ? two : one, two_first ? 0x4000 : 0x2000);
    add_fighter(two_first ? one : two, two_first ? 0x2000 : 0x4000);
    add_sprite((s16)one->x - CAMERA_X - 16, FEET_Y - 4, 12, SHADOW_TILE);
    add_sprite((s16)two->x - CAMERA_X - 16, FEET_Y - 4, 12, SHADOW_TILE);
}

void screen_show(void) {
    static u8 shown_character;
    u8 character = ram.fighters[1].character;
    if (character != shown_character) {
        shown_character = character;
        colours_write(32, suit_colours[character == HUMAN ? 2 : 1 + (character & 7)], 16);
    }
    sprite_count = 0;
    u8 phase = ram.game.phase;
    if (phase >= INTRO && phase <= RESULT) add_fighters();
    if (sprite_count == 0) add_sprite(-64, -64, 0, 0);
    sprites[4 * (sprite_count - 1) + 1] &= 0xFF00; /* the last one */
    video_write(SPRITES, sprites, 4 * sprite_count);
    signs_show();
}
