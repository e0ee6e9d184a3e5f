#include "match.h"
#include "computer.h"
#include "fight.h"

enum { TITLE_ENDS_FRAMES = 240, ROUNDS_TO_WIN = 2 };

static Game *const game = &ram.game;
static Fighter *const one = &ram.fighters[0];
static Fighter *const two = &ram.fighters[1];

u8 draw_random(void) {
    u32 random = game->random;
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    game->random = random;
    return random >> 11;
}

static void enter(Phase phase) {
    game->phase = phase;
    game->phase_frame = 0;
}

/* Between rounds and matches no fighter stands in any position. */
static void leave_the_stage(void) { one->status = two->status = STATUS_NONE; }

static void begin_round(void) {
    ram.timer = TIMER_START;
    game->round++;
    game->winner = 0;
    stand_up(one, game->swapped ? START_RIGHT : START_LEFT, game->swapped ? -1 : 1);
    stand_up(two, game->swapped ? START_LEFT : START_RIGHT, game->swapped ? 1 : -1);
    enter(INTRO);
}

static void begin_match(void) {
    one->rounds_won = two->rounds_won = 0;
    one->continue_timer = two->continue_timer = 0;
    one->character = HUMAN;
    two->character = game->versus ? HUMAN : game->opponent;
    game->round = 0;
    computer_begin(&game->computer, game->opponent);
    begin_round();
}

void game_start(void) {
    game->magic = MAGIC;
    game->version = VERSION;
    game->random = 0x2545F491;
    game->opponent = opponent_of(MIXED, NORMAL);
    ram.timer = TIMER_START;
    one->health = two->health = FULL_HEALTH;
    enter(TITLE);
}

/* Left and right choose the opponent's style, up and down its strength, B the side. */
static void title(u16 pressed_1, u16 pressed_2) {
    u8 style = style_of(game->opponent), strength = strength_of(game->opponent);
    if (pressed_1 & RIGHT) style = style == STYLES - 1 ? 0 : style + 1;
    if (pressed_1 & LEFT) style = style == 0 ? STYLES - 1 : style - 1;
    if ((pressed_1 & UP) && strength < STRENGTHS - 1) strength++;
    if ((pressed_1 & DOWN) && strength > 0) strength--;
    if (pressed_1 & BUTTON_B) game->swapped ^= 1;
    game->opponent = opponent_of(style, strength);
    if (!((pressed_1 | pressed_2) & START)) return;
    game->versus = (pressed_2 & START) != 0;
    for (u8 i = 0; i < 4; i++) one->score[i] = two->score[i] = 0;
    /* Whoever begins further up has not beaten the others, but has their points. */
    for (u8 i = 0; i < style + 5 * strength; i++) add_score(one, 0x8200);
    begin_match();
}

static void tick(void) {
    u8 seconds = ram.timer >> 8, frames = ram.timer;
    if (frames) {
        frames--;
    } else {
        seconds -= (seconds & 15) ? 1 : 7; /* BCD */
        frames = (u8)TIMER_START - 1;
    }
    ram.timer = seconds << 8 | frames;
}

static void fighting(u16 pad_1, u16 pad_2) {
    if (!game->versus) pad_2 = computer_pad(&game->computer, game->opponent, two, one);
    one->pressed = pad_1 & ~one->pad;
    two->pressed = pad_2 & ~two->pad;
    one->pad = pad_1;
    two->pad = pad_2;
    fight_frame(1);
    tick();
    u8 out = one->health < 0 || two->health < 0;
    if (!out && ram.timer) return;
    game->ending = out ? BY_KO : BY_TIME;
    game->winner = one->health > two->health ? 1 : one->health < two->health ? 2 : 0;
    enter(ROUND_OVER);
}

static void round_over(void) {
    one->pad = two->pad = one->pressed = two->pressed = 0;
    fight_frame(0);
    if (game->ending == BY_TIME) one->status = two->status = STATUS_TIME_OVER;
    if (game->phase_frame < ROUND_OVER_FRAMES) return;
    Fighter *winner = game->winner == 1 ? one : game->winner == 2 ? two : 0;
    if (winner) {
        winner->rounds_won++;
        add_score(winner, (u32)(ram.timer & 0xFF00));
        winner->action = WINNING;
        winner->frame = 0;
    }
    enter(RESULT);
}

static void after_match(void) {
    leave_the_stage();
    game->winner = one->rounds_won > two->rounds_won ? 1 : one->rounds_won < two->rounds_won ? 2 : 0;
    if (game->versus || game->winner != 1) {
        (game->winner == 1 ? two : one)->continue_timer = CONTINUE_SECONDS;
        enter(CONTINUE);
    } else if (game->opponent == opponent_of(STYLES - 1, STRENGTHS - 1)) {
        enter(CHAMPION);
    } else {
        enter(NEXT_OPPONENT);
    }
}

static void result(void) {
    fight_frame(0);
    u16 resting = game->ending == BY_TIME ? STATUS_TIME_OVER : STATUS_BEATEN;
    one->status = game->winner == 1 ? STATUS_WINNER : resting;
    two->status = game->winner == 2 ? STATUS_WINNER : resting;
    if (game->phase_frame < RESULT_FRAMES) return;
    u8 decided = one->rounds_won == ROUNDS_TO_WIN || two->rounds_won == ROUNDS_TO_WIN;
    if (decided || game->round == LAST_ROUND) {
        after_match();
    } else {
        begin_round();
    }
}

static void next_opponent(void) {
    if (game->phase_frame < NEXT_FRAMES) return;
    u8 style = style_of(game->opponent), strength = strength_of(game->opponent);
    game->opponent = style == STYLES - 1 ? opponent_of(0, strength + 1) : opponent_of(style + 1, strength);
    begin_match();
}

static void continue_or_not(u16 pressed) {
    Fighter *loser = game->winner == 1 ? two : one;
    if (pressed & START) {
        for (u8 i = 0; i < 4; i++) loser->score[i] = 0;
        begin_match();
    } else if (game->phase_frame == SECOND) {
        game->phase_frame = 0;
        if (--loser->continue_timer == 0) enter(GAME_OVER);
    }
}

void game_frame(u16 pad_1, u16 pad_2) {
    u16 pressed_1 = pad_1 & ~game->previous_pads[0], pressed_2 = pad_2 & ~game->previous_pads[1];
    game->previous_pads[0] = pad_1;
    game->previous_pads[1] = pad_2;
    game->phase_frame++;
    draw_random(); /* time alone makes games differ */
    switch (game->phase) {
    case TITLE:
        title(pressed_1, pressed_2);
        break;
    case INTRO:
        /* What is held already as the round begins is not pressed in it. */
        one->pad = pad_1;
        two->pad = game->versus ? pad_2 : 0;
        if (game->phase_frame == INTRO_FRAMES) enter(FIGHTING);
        break;
    case FIGHTING:
        fighting(pad_1, pad_2);
        break;
    case ROUND_OVER:
        round_over();
        break;
    case RESULT:
        result();
        break;
    case NEXT_OPPONENT:
        next_opponent();
        break;
    case CONTINUE:
        continue_or_not(game->versus ? pressed_1 | pressed_2 : pressed_1);
        break;
    default:
        if (game->phase_frame == TITLE_ENDS_FRAMES) enter(TITLE);
    }
}
