#include "signs.h"
#include "computer.h"
#include "console.h"
#include "match.h"
#include "tiles.h"

enum {
    FRONT = 0x8000,
    MIRRORED = 0x0800,
    SCORE_ROW = 2,
    BAR_ROW = 3,
    NAME_ROW = 4,
    ROUNDS_ROW = 5,
    BAR_TILES = 11, /* two points of health a pixel */
    LEFT_BAR = 2,
    RIGHT_BAR = 19,
    TIME_COLUMN = 15,
    MESSAGE_ROW = 8, /* the first of those that messages are written in */
    MESSAGE_ROWS = 10,
};

static const char *const style_names[STYLES] = {"PASSIVE", "TURTLE", "RUSHER", "ZONER", "MIXED"};
static const char *const strength_names[STRENGTHS] = {"EASY", "NORMAL", "HARD"};

static u16 cell(u16 row, u16 column) { return PLANE_A + 2 * (row * PLANE_WIDTH + column); }

static u16 length(const char *text) {
    u16 count = 0;
    while (text[count]) count++;
    return count;
}

static void write_text(u16 row, u16 column, const char *text) {
    u16 words[PLANE_WIDTH], count = 0;
    for (; text[count]; count++) words[count] = FRONT | (FONT_TILE + text[count] - ' ');
    video_write(cell(row, column), words, count);
}

static void write_centred(u16 row, const char *text) { write_text(row, (PLANE_WIDTH - length(text)) >> 1, text); }

static void write_digits(u16 row, u16 column, const u8 *bcd, u8 bytes) {
    char text[9];
    u8 at = 0;
    for (u8 i = 0; i < bytes; i++) {
        text[at++] = '0' + (bcd[i] >> 4);
        text[at++] = '0' + (bcd[i] & 15);
    }
    text[at] = 0;
    write_text(row, column, text);
}

static void write_bar(u8 player, s16 health) {
    u16 words[BAR_TILES];
    s16 left = health < 0 ? 0 : health >> 1;
    if (health == 1) left = 1; /* what lives is seen to */
    for (u8 i = 0; i < BAR_TILES; i++, left -= 8) {
        u16 tile = FRONT | (BAR_TILE + (left <= 0 ? 0 : left >= 8 ? 8 : left));
        /* Both empty towards the outside. */
        words[player == 0 ? BAR_TILES - 1 - i : i] = player == 0 ? tile | MIRRORED : tile;
    }
    video_write(cell(BAR_ROW, player == 0 ? LEFT_BAR : RIGHT_BAR), words, BAR_TILES);
}

static void write_rounds(u8 player, u8 won) {
    for (u8 i = 0; i < 2; i++) {
        u16 word = i < won ? FRONT | (BAR_TILE + 8) : 0;
        video_write(cell(ROUNDS_ROW, player == 0 ? LEFT_BAR + 2 * i : RIGHT_BAR + BAR_TILES - 1 - 2 * i), &word, 1);
    }
}

static void write_names(void) {
    u8 opponent = ram.game.opponent;
    write_text(NAME_ROW, LEFT_BAR, "PLAYER 1");
    if (ram.game.versus) {
        write_text(NAME_ROW, 17, "     PLAYER 2");
        return;
    }
    const char *style = style_names[style_of(opponent)], *strength = strength_names[strength_of(opponent)];
    write_text(NAME_ROW, 16, "              ");
    u16 column = RIGHT_BAR + BAR_TILES - length(strength);
    write_text(NAME_ROW, column, strength);
    write_text(NAME_ROW, column - 1 - length(style), style);
}

static void write_title(void) {
    u8 opponent = ram.game.opponent;
    write_centred(MESSAGE_ROW, "HAKISA FIGHTER");
    write_centred(MESSAGE_ROW + 3, "PRESS START");
    write_centred(MESSAGE_ROW + 5, style_names[style_of(opponent)]);
    write_centred(MESSAGE_ROW + 6, strength_names[strength_of(opponent)]);
    write_centred(MESSAGE_ROW + 8, ram.game.swapped ? "FROM THE RIGHT" : "FROM THE LEFT");
}

static void write_message(void) {
    const Game *game = &ram.game;
    static const char *const rounds[LAST_ROUND] = {"ROUND 1", "ROUND 2", "ROUND 3", "ROUND 4"};
    switch (game->phase) {
    case TITLE:
        write_title();
        break;
    case INTRO:
        write_centred(MESSAGE_ROW + 2, game->phase_frame < FIGHT_SIGN_FRAME ? rounds[game->round - 1] : "FIGHT!");
        break;
    case ROUND_OVER:
        if (game->ending == BY_TIME) {
            write_centred(MESSAGE_ROW + 2, "TIME OVER");
        } else {
            write_centred(MESSAGE_ROW + 2, game->winner ? "K.O." : "DOUBLE K.O.");
        }
        break;
    case RESULT:
        write_centred(MESSAGE_ROW + 2, game->winner == 1 ? "PLAYER 1 WINS"
                                       : game->winner == 0 ? "DRAW"
                                       : game->versus      ? "PLAYER 2 WINS"
                                                           : "YOU LOSE");
        break;
    case NEXT_OPPONENT:
        write_centred(MESSAGE_ROW + 2, "THE NEXT ONE IS READY");
        break;
    case CONTINUE:
        write_centred(MESSAGE_ROW + 2, "CONTINUE?");
        u8 seconds = ram.fighters[game->winner == 1 ? 1 : 0].continue_timer;
        u8 digits = seconds == 10 ? 0x10 : seconds;
        write_digits(MESSAGE_ROW + 4, TIME_COLUMN, &digits, 1);
        break;
    case GAME_OVER:
        write_centred(MESSAGE_ROW + 2, "GAME OVER");
        break;
    case CHAMPION:
        write_centred(MESSAGE_ROW + 2, "YOU HAVE BEATEN THEM ALL");
        break;
    default:
        break;
    }
}

/* Rewrites what has changed since it was shown. */
void signs_show(void) {
    static u32 shown_message;
    static u16 shown_names;
    static s16 shown_health[2];
    static u8 shown_rounds[2], shown_seconds, shown_score[2];
    const Game *game = &ram.game;

    u8 seconds = ram.timer >> 8;
    if (seconds != shown_seconds) {
        shown_seconds = seconds;
        write_digits(BAR_ROW, TIME_COLUMN, &seconds, 1);
    }
    for (u8 i = 0; i < 2; i++) {
        const Fighter *fighter = &ram.fighters[i];
        if (fighter->health != shown_health[i]) write_bar(i, shown_health[i] = fighter->health);
        u8 rounds = 1 + fighter->rounds_won;
        if (rounds != shown_rounds[i]) {
            shown_rounds[i] = rounds;
            write_rounds(i, fighter->rounds_won);
        }
        u8 score = 1 + (fighter->score[0] ^ fighter->score[1] ^ fighter->score[2]);
        if (score != shown_score[i] && (i == 0 || game->versus)) {
            shown_score[i] = score;
            write_digits(SCORE_ROW, i == 0 ? LEFT_BAR : RIGHT_BAR + BAR_TILES - 8, fighter->score, 4);
        }
    }
    u16 names = 0x100 | game->opponent << 1 | game->versus;
    if (names != shown_names) {
        shown_names = names;
        write_names();
    }
    u8 loser = game->winner == 1 ? 1 : 0;
    u32 message = (u32)game->phase << 24 | (u32)game->round << 16 | game->opponent << 8 | game->winner << 5 |
                  ram.fighters[loser].continue_timer << 1 | game->swapped;
    if (game->phase == INTRO) message |= (u32)(game->phase_frame >= FIGHT_SIGN_FRAME) << 20;
    if (message != shown_message) {
        shown_message = message;
        video_fill(cell(MESSAGE_ROW, 0), 0, MESSAGE_ROWS * PLANE_WIDTH);
        write_message();
    }
}
