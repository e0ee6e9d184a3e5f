#include "battle.h"
#include "gba.h"
#include "save.h"
#include "screen.h"
#include "talk.h"
#include "world.h"

int main(void) {
    u16 before = 0;
    save_start();
    screen_start();
    world_start();
    for (;;) {
        u16 held, pressed;
        wait_for_blank();
        held = read_pad();
        pressed = held & ~before;
        before = held;
        random(1);
        party_settle();
        if (talking())
            talk_frame(pressed);
        else if (battling())
            battle_frame();
        else
            world_frame(held, pressed);
        LOCKED = talking() || CALLBACK != IN_OVERWORLD;
    }
}
