/* Dialogs and menus. What comes after them is a function, so a conversation is a chain of such. */
#ifndef TALK_H
#define TALK_H

#include "gba.h"

/* Called with the number of the option that was chosen; -1: B was pressed. */
typedef void (*Then)(int choice);

/* Text for the next dialog, put together piece by piece; | begins a new line of 28 letters. */
void text(const char *piece);
void text_number(int number);

/* Shows the text until A or B is pressed. */
void say(Then then);

/* Shows the text and a menu of two to four options. */
void ask(const char *const *options, int count, Then then);

/* Whether a dialog is there, and plays a frame of it. */
int talking(void);
void talk_frame(u16 pressed);

#endif
