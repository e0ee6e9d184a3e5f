/* Who lives in the world, and what they say and do. */
#include "battle.h"
#include "maps.h"
#include "save.h"
#include "world.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array[0])))

static const char *const yes_or_no[] = {"YES", "NO"};
static u8 other; /* the person or thing that is spoken to */

static void hear(const char *words) {
    text(words);
    say(0);
}

/* Battles. */

static void after_wild(int outcome) {
    Location *heal = location(SAVE_LAST_HEAL);
    if (outcome != LOST)
        return;
    money_add(-money() / 2);
    party_heal();
    if (heal->number == HEALER)
        *location(SAVE_OUTSIDE) = *location(SAVE_HEAL_OUTSIDE);
    world_go(heal->number, heal->x, heal->y);
}

int grass(int map) {
    static const Foe wild[] = {{5, 2}, {6, 3}, {5, 3}, {6, 2}, {4, 5}, {7, 6}, {6, 5}, {5, 6}, {8, 9}, {7, 9}, {6, 9}, {5, 10}};
    int first = map == ROUTE_1 ? 0 : map == ROUTE_2 ? 4 : 8;
    if (party_first() < 0 || random(6))
        return 0;
    battle_start(&wild[first + random(4)], 1, 0, after_wild);
    return 1;
}

typedef struct {
    const char *before, *beaten, *later;
    const Foe *foes;
    u8 count, badge; /* which badge it gives, or 0; it asks for the one before that */
} Trainer;

static const Foe of_lad[] = {{5, 4}}, of_hiker[] = {{4, 5}}, of_rocco[] = {{4, 6}, {9, 8}};
static const Foe of_ranger[] = {{5, 7}}, of_cook[] = {{7, 8}}, of_flora[] = {{7, 8}, {7, 10}};
static const Foe of_diver[] = {{5, 8}}, of_marina[] = {{4, 11}, {8, 9}};

static const Trainer trainers[] = {
    {"MY BUZZLET IS THE BEST!", "IT LOST...", "GRASS AND WATER BEAT ROCK.", of_lad, COUNT(of_lad), 0},
    {"ROCKS DO NOT BUDGE!", "IT BUDGED...", "ROCCO IS HARDER STILL.", of_hiker, COUNT(of_hiker), 0},
    {"I AM ROCCO. BREAK MY STONES!", "TAKE THE STONE BADGE.|NOW YOU CAN CUT TREES.", "A TREE BARS ROUTE TWO.|CUT IT!",
     of_rocco, COUNT(of_rocco), 1},
    {"WHO GOES THERE?", "A FINE FIGHT.", "THE PORT IS EAST OF HERE.", of_ranger, COUNT(of_ranger), 0},
    {"MY PAN IS HOT!", "IT COOLS DOWN...", "WATER PUTS FIRE OUT.", of_cook, COUNT(of_cook), 0},
    {"I AM FLORA. FEEL THE HEAT!", "TAKE THE FLAME BADGE. THE|FERRY WILL CARRY YOU NOW.", "THE SAILOR WAITS AT THE DOCK.",
     of_flora, COUNT(of_flora), 2},
    {"DEEP WATER HERE!", "GLUB...", "MARINA IS AT THE END.", of_diver, COUNT(of_diver), 0},
    {"I AM MARINA. SINK OR SWIM!", "TAKE THE WAVE BADGE!", "YOU ARE A MASTER NOW.", of_marina, COUNT(of_marina), 3},
};

static void fight_ended(int outcome) {
    int number = people[other].trainer;
    const Trainer *trainer = &trainers[number];
    if (outcome != WON) {
        after_wild(outcome);
        return;
    }
    flag_set(FLAG_TRAINER + number);
    if (trainer->badge) {
        flag_set(FLAG_BADGE + trainer->badge - 1);
        party_heal();
    }
    money_add(40 * trainer->foes[trainer->count - 1].level);
    hear(trainer->beaten);
}

static void fight_trainer(int unused) {
    const Trainer *trainer = &trainers[people[other].trainer];
    (void)unused;
    battle_start(trainer->foes, trainer->count, 1, fight_ended);
}

static void talk_trainer(int person) {
    const Trainer *trainer = &trainers[people[person].trainer];
    other = person;
    if (flag(FLAG_TRAINER + people[person].trainer)) {
        hear(trainer->later);
    } else if (trainer->badge > 1 && !flag(FLAG_BADGE + trainer->badge - 2)) {
        hear("COME BACK WITH ONE MORE BADGE.");
    } else if (party_first() < 0) {
        hear("YOU HAVE NOBODY WHO FIGHTS.");
    } else {
        text(trainer->before);
        say(fight_trainer);
    }
}

void trainer_sees(int person) {
    if (party_first() >= 0)
        talk_trainer(person);
}

/* The first one. */

static void take_starter(int answer) {
    Monster starter;
    if (answer != 0)
        return;
    starter = monster_new(people[other].x / 2 - 1, 5);
    party_add(&starter);
    items_add(SAVE_BALLS, 5);
    items_add(SAVE_POTIONS, 5);
    flag_set(FLAG_STARTER);
    flag_set(FLAG_POKEDEX);
    text(species_of(&starter)->name);
    hear(" IS YOURS!|TAKE BALLS AND POTIONS, TOO.");
}

static void talk_starter(int person) {
    static const char *const kinds[] = {"THE GREEN ONE, OF GRASS?", "THE RED ONE, OF FIRE?", "THE BLUE ONE, OF WATER?"};
    other = person;
    text(kinds[people[person].x / 2 - 2]);
    ask(yes_or_no, 2, take_starter);
}

static void talk_guard(int person) {
    (void)person;
    hear("IT IS WILD OUT THERE.|TAKE ONE OF THE BALLS FIRST.");
}

static void talk_professor(int person) {
    (void)person;
    hear(flag(FLAG_STARTER) ? "THREE GYMS, THREE BADGES!|THE FIRST IS IN OAK CITY." : "CHOOSE ONE OF THE BALLS.");
}

/* Houses. */

static void heal(int answer) {
    if (answer != 0)
        return;
    party_heal();
    flag_set(FLAG_HEALED);
    *location(SAVE_HEAL_OUTSIDE) = *location(SAVE_OUTSIDE);
    location(SAVE_LAST_HEAL)->number = HEALER;
    location(SAVE_LAST_HEAL)->x = *(s16 *)(save_1() + SAVE_X);
    location(SAVE_LAST_HEAL)->y = *(s16 *)(save_1() + SAVE_Y);
    hear("THEY ARE WELL AGAIN.");
}

static void talk_nurse(int person) {
    (void)person;
    text("SHALL I HEAL YOUR MONSTERS?");
    ask(yes_or_no, 2, heal);
}

static void buy(int option) {
    int price = option == 0 ? 200 : 90;
    if (option < 0 || option > 1)
        return;
    if (money() < price) {
        hear("THAT IS TOO LITTLE MONEY.");
        return;
    }
    money_add(-price);
    items_add(option == 0 ? SAVE_BALLS : SAVE_POTIONS, 1);
    flag_set(FLAG_BOUGHT);
    hear("HERE YOU ARE.");
}

static void talk_clerk(int person) {
    static const char *const goods[] = {"BALL 200", "POTION 90", "NOTHING"};
    (void)person;
    text("YOU HAVE ");
    text_number(money());
    text(". WHAT WILL|IT BE?");
    ask(goods, 3, buy);
}

static void gamble(int answer) {
    if (answer != 0)
        return;
    if (money() < 10) {
        hear("IT TAKES 10.");
        return;
    }
    money_add(-10);
    if (random(4) == 0) {
        money_add(40);
        flag_set(FLAG_GAMBLED);
        hear("IT PAYS 40!");
    } else {
        hear("NOTHING...");
    }
}

static void use_box(int option) {
    int done = option == 0 ? party_deposit() : option == 1 ? party_withdraw() : -1;
    if (done < 0)
        return;
    if (done)
        flag_set(FLAG_STORED);
    hear(done ? "DONE." : "THAT CANNOT BE DONE.");
}

static void cut(int answer) {
    if (answer != 0)
        return;
    flag_set(FLAG_TREE_IS_CUT);
    flag_set(FLAG_CUT);
    world_show();
}

void use_square(int kind, int map, int x, int y) {
    static const char *const box_options[] = {"DEPOSIT", "WITHDRAW", "NOTHING"};
    if (kind == READ) {
        for (int sign = 0; sign < SIGNS; sign++)
            if (signs[sign].map == map && signs[sign].x == x && signs[sign].y == y) {
                flag_set(FLAG_SIGN + sign);
                hear(signs[sign].words);
            }
    } else if (kind == TREE && flag(FLAG_BADGE)) {
        text("CUT THE TREE DOWN?");
        ask(yes_or_no, 2, cut);
    } else if (kind == TREE) {
        hear("A TREE THAT COULD BE CUT,|WITH THE STONE BADGE.");
    } else if (kind == MACHINE) {
        text("PLAY FOR 10? YOU HAVE ");
        text_number(money());
        ask(yes_or_no, 2, gamble);
    } else if (kind == BOX_SQUARE) {
        text("THE BOX KEEPS MONSTERS.");
        ask(box_options, 3, use_box);
    }
}

/* The ferry sets some flags and clears others, each way. */

static void sail(int answer) {
    int to_island = people[other].map == PORT;
    if (answer != 0)
        return;
    for (int at = 0; at < 7; at++)
        (to_island == (at & 1) ? flag_clear : flag_set)(FLAG_FERRY + at);
    (to_island ? flag_set : flag_clear)(FLAG_FERRY_AWAY);
    flag_set(FLAG_SAILED);
    if (to_island)
        world_go(ISLAND, 11, 7);
    else
        world_go(PORT, 10, 8);
}

static void talk_sailor(int person) {
    other = person;
    if (!flag(FLAG_BADGE + 1)) {
        hear("ONLY WITH THE FLAME BADGE.");
        return;
    }
    text(people[person].map == PORT ? "SAIL TO THE ISLAND?" : "SAIL BACK TO THE PORT?");
    ask(yes_or_no, 2, sail);
}

static void talk_girl(int person) {
    (void)person;
    hear("THE GYM IS IN THE EAST.|ROCK FEARS GRASS AND WATER.");
}

#define BALL(X, FLAG) {FERN, X, 7, SOUTH, 0, 0, -1, FLAG, talk_starter}
#define TRAINER(MAP, X, Y, FACING, SIGHT, NUMBER) {MAP, X, Y, FACING, 3, SIGHT, NUMBER, 0, talk_trainer}
#define LEADER(MAP, X, Y, NUMBER) {MAP, X, Y, SOUTH, 4, 0, NUMBER, 0, talk_trainer}

const Person people[] = {
    BALL(4, FLAG_STARTER),
    BALL(6, FLAG_STARTER),
    BALL(8, FLAG_STARTER),
    {FERN, 5, 5, SOUTH, 2, 0, -1, 0, talk_professor},
    {FERN, 8, 1, SOUTH, 5, 0, -1, FLAG_STARTER, talk_guard},
    TRAINER(ROUTE_1, 9, 8, WEST, 3, 0),
    {OAK, 9, 10, SOUTH, 5, 0, -1, 0, talk_girl},
    TRAINER(GYM_1, 5, 4, EAST, 3, 1),
    LEADER(GYM_1, 7, 1, 2),
    {HEALER, 6, 1, SOUTH, 5, 0, -1, 0, talk_nurse},
    {SHOP, 4, 1, SOUTH, 2, 0, -1, 0, talk_clerk},
    TRAINER(ROUTE_2, 14, 3, SOUTH, 4, 3),
    TRAINER(GYM_2, 9, 4, WEST, 3, 4),
    LEADER(GYM_2, 7, 1, 5),
    {PORT, 10, 10, NORTH, 2, 0, -1, 0, talk_sailor},
    {ISLAND, 11, 9, NORTH, 2, 0, -1, 0, talk_sailor},
    TRAINER(GYM_3, 5, 4, EAST, 3, 6),
    LEADER(GYM_3, 7, 1, 7),
};
const int people_count = COUNT(people);
