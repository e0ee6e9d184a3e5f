#include "talk.h"

#include "screen.h"

enum { BOX_ROW = 14, BOX_ROWS = 6, MENU_COLUMNS = 12, LONGEST = 128 };

static char words[LONGEST];
static u8 length;
static Then after;
static const char *const *choices;
static u8 choice_count, chosen, is_shown;

void text(const char *piece) {
    while (*piece && length < LONGEST - 1)
        words[length++] = *piece++;
    words[length] = 0;
}

void text_number(int number) {
    char digits[8], *at = digits + 7;
    *at = 0;
    do
        *--at = '0' + number % 10;
    while (number /= 10);
    text(at);
}

static void show_words(void) {
    int column = 1, row = BOX_ROW + 1;
    screen_box(0, BOX_ROW, TEXT_COLUMNS, BOX_ROWS);
    for (int at = 0; at < length; at++) {
        char letter[2] = {words[at], 0};
        if (words[at] == '|') {
            column = 1;
            row++;
        } else {
            screen_letters(column++, row, letter);
        }
    }
    length = 0;
}

static int menu_row(void) { return BOX_ROW - choice_count - 2; }

static void show_choice(void) {
    for (int option = 0; option < choice_count; option++)
        screen_letters(TEXT_COLUMNS - MENU_COLUMNS + 1, menu_row() + 1 + option, option == chosen ? ":" : " ");
}

static void show_menu(void) {
    screen_box(TEXT_COLUMNS - MENU_COLUMNS, menu_row(), MENU_COLUMNS, choice_count + 2);
    for (int option = 0; option < choice_count; option++)
        screen_letters(TEXT_COLUMNS - MENU_COLUMNS + 2, menu_row() + 1 + option, choices[option]);
    show_choice();
}

void ask(const char *const *options, int count, Then then) {
    show_words();
    choices = options;
    choice_count = count;
    chosen = 0;
    after = then;
    is_shown = 1;
    if (count)
        show_menu();
}

void say(Then then) { ask(0, 0, then); }

int talking(void) { return is_shown; }

static void finish(int choice) {
    Then then = after;
    screen_clear(0, BOX_ROW, TEXT_COLUMNS, BOX_ROWS);
    if (choice_count)
        screen_clear(TEXT_COLUMNS - MENU_COLUMNS, menu_row(), MENU_COLUMNS, choice_count + 2);
    is_shown = 0;
    if (then)
        then(choice);
}

void talk_frame(u16 pressed) {
    if (pressed & A)
        finish(chosen);
    else if (pressed & B)
        finish(-1);
    else if (choice_count && pressed & (UP | DOWN)) {
        chosen = (chosen + (pressed & UP ? choice_count - 1 : 1)) % choice_count;
        show_choice();
    }
}
