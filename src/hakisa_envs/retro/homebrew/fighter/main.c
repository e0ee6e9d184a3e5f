#include "console.h"
#include "match.h"
#include "screen.h"

int main(void) {
    console_start();
    screen_start();
    game_start();
    for (;;) {
        wait_for_blank();
        game_frame(read_pad(0), read_pad(1));
        screen_show();
    }
}
