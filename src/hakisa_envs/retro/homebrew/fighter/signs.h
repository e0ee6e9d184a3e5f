/* What is written and counted on the screen: health, time, points, rounds, messages. */
#ifndef SIGNS_H
#define SIGNS_H

void signs_show(void);

#endif
