/* Shows what RAM says. The game never waits for it and never asks it anything. */
#ifndef SCREEN_H
#define SCREEN_H

void screen_start(void);
void screen_show(void);

#endif
