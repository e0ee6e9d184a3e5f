#include "world.h"

#include "maps.h"
#include "save.h"
#include "screen.h"

enum { STEP_FRAMES = 8, BUMP_FRAMES = 4, DARKEN_FRAMES = 8 };
enum { PLAYER_SPRITE = 0, FIRST_PERSON_SPRITE = 1 };
enum { SCREEN_WIDTH = 240, SCREEN_HEIGHT = 160 };

static const s8 dx[] = {0, 0, -1, 1}, dy[] = {1, -1, 0, 0};
static const u16 buttons[] = {DOWN, UP, LEFT, RIGHT};

static u8 facing, step, wait; /* the latter two: frames that are left of a step, and of standing still */
static u8 warp_frame, next_map;
static s8 next_x, next_y;
static s16 x, y; /* also in save block 1 */

static int map(void) { return location(SAVE_LOCATION)->number; }

static int square_at(int column, int row) {
    const Map *here = &maps[map()];
    if (column < 0 || row < 0 || column >= here->width || row >= here->height)
        return SQUARE_BLACK;
    return here->squares[row * here->width + column];
}

static int kind_at(int column, int row) {
    int kind = square_kinds[square_at(column, row)];
    return kind == TREE && flag(FLAG_TREE_IS_CUT) ? FREE : kind;
}

static int is_here(const Person *person) { return person->map == map() && !(person->gone && flag(person->gone)); }

static int person_at(int column, int row) {
    for (int person = 0; person < people_count; person++)
        if (people[person].x == column && people[person].y == row && is_here(&people[person]))
            return person;
    return -1;
}

static int clamp(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

static void show(void) {
    const Map *here = &maps[map()];
    int px = 16 * x - dx[facing] * 2 * step, py = 16 * y - dy[facing] * 2 * step, sprite = FIRST_PERSON_SPRITE;
    int left = clamp(px - SCREEN_WIDTH / 2 + 8, 16 * here->width - SCREEN_WIDTH);
    int top = clamp(py - SCREEN_HEIGHT / 2 + 8, 16 * here->height - SCREEN_HEIGHT);
    screen_look(left, top);
    screen_person(PLAYER_SPRITE, px - left, py - top, 1, facing, step > STEP_FRAMES / 2);
    for (int person = 0; person < people_count && sprite < SPRITES; person++) {
        const Person *one = &people[person];
        if (!is_here(one))
            continue;
        if (one->palette)
            screen_person(sprite++, 16 * one->x - left, 16 * one->y - top, one->palette, one->facing, 0);
        else
            screen_ball(sprite++, 16 * one->x - left, 16 * one->y - top);
    }
    while (sprite < SPRITES)
        screen_hide(sprite++);
}

void world_show(void) {
    const Map *here = &maps[map()];
    for (int row = 0; row < here->height; row++)
        for (int column = 0; column < here->width; column++) {
            int square = square_at(column, row);
            screen_square(column, row, square == SQUARE_TREE && kind_at(column, row) == FREE ? SQUARE_GROUND : square);
        }
    screen_map(1);
    show();
}

static void arrive(int number, int column, int row) {
    static const s8 towns[MAPS] = {[FERN] = 1, [OAK] = 2, [PORT] = 3, [ISLAND] = 4};
    save_move();
    for (int temporary = 0; temporary < 0x20; temporary++)
        flag_clear(temporary);
    location(SAVE_LOCATION)->number = number;
    location(SAVE_LOCATION)->x = x = column;
    location(SAVE_LOCATION)->y = y = row;
    *(s16 *)(save_1() + SAVE_X) = x;
    *(s16 *)(save_1() + SAVE_Y) = y;
    if (towns[number])
        flag_set(FLAG_TOWN + towns[number] - 1);
    world_show();
}

void world_start(void) {
    Location *heal = location(SAVE_LAST_HEAL);
    heal->number = FERN;
    heal->x = START_X;
    heal->y = START_Y;
    facing = NORTH;
    arrive(FERN, START_X, START_Y);
    CALLBACK = IN_OVERWORLD;
}

void world_go(int number, int column, int row) {
    next_map = number;
    next_x = column;
    next_y = row;
    warp_frame = 1;
    CALLBACK = BETWEEN;
}

static void warp(void) {
    if (warp_frame == DARKEN_FRAMES)
        arrive(next_map, next_x, next_y);
    screen_dark(warp_frame < DARKEN_FRAMES ? 2 * warp_frame : 4 * DARKEN_FRAMES - 2 * warp_frame);
    if (warp_frame++ == 2 * DARKEN_FRAMES) {
        warp_frame = 0;
        CALLBACK = IN_OVERWORLD;
    }
}

static int through_portal(void) {
    for (int at = 0; at < PORTALS; at++) {
        const Portal *portal = &portals[at];
        Location *outside = location(SAVE_OUTSIDE);
        if (portal->map != map() || portal->x != x || portal->y != y)
            continue;
        if (portal->to == PORTAL_OUT) {
            facing = SOUTH;
            world_go(outside->number, outside->x, outside->y);
            return 1;
        }
        if (kind_at(x, y) == DOOR) {
            outside->number = map();
            outside->x = x;
            outside->y = y + 1;
        }
        world_go(portal->to, portal->to_x, portal->to_y);
        return 1;
    }
    return 0;
}

/* The trainer who sees the player, if one does. */
static int seen_by(void) {
    for (int person = 0; person < people_count; person++) {
        const Person *one = &people[person];
        if (!is_here(one) || one->trainer < 0 || flag(FLAG_TRAINER + one->trainer))
            continue;
        for (int ahead = 1; ahead <= one->sight; ahead++) {
            int column = one->x + ahead * dx[one->facing], row = one->y + ahead * dy[one->facing];
            if (column == x && row == y)
                return person;
            if (kind_at(column, row) == BLOCKED)
                break;
        }
    }
    return -1;
}

static void stepped(void) {
    int person;
    if (through_portal())
        return;
    person = seen_by();
    if (person >= 0)
        trainer_sees(person);
    else if (kind_at(x, y) == GRASS_SQUARE)
        grass(map());
}

static void use(void) {
    int column = x + dx[facing], row = y + dy[facing], kind = kind_at(column, row), person;
    if (kind == COUNTER) { /* one speaks over it */
        column += dx[facing];
        row += dy[facing];
    }
    person = person_at(column, row);
    if (person >= 0)
        people[person].talk(person);
    else if (kind > COUNTER)
        use_square(kind, map(), column, row);
}

static void walk(int direction) {
    int column = x + dx[direction], row = y + dy[direction], kind = kind_at(column, row);
    facing = direction;
    if (kind == BLOCKED || kind >= COUNTER || person_at(column, row) >= 0) {
        wait = BUMP_FRAMES - 1;
        return;
    }
    *(s16 *)(save_1() + SAVE_X) = x = column;
    *(s16 *)(save_1() + SAVE_Y) = y = row;
    step = STEP_FRAMES;
}

void world_frame(u16 held, u16 pressed) {
    if (warp_frame) {
        warp();
        return;
    }
    if (step && --step == 0)
        stepped();
    else if (wait)
        wait--;
    if (!step && !wait && !talking() && CALLBACK == IN_OVERWORLD) {
        if (pressed & A)
            use();
        else
            for (int direction = 0; direction < 4; direction++)
                if (held & buttons[direction]) {
                    walk(direction);
                    break;
                }
    }
    IN_STEP = step || wait;
    if (step % 2 == 0) /* 30 pictures a second: where nothing moves, an emulator need not draw the picture anew */
        show();
}
