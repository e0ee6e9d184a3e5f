#include "battle.h"

#include "save.h"
#include "screen.h"
#include "world.h"

enum { FLASH_FRAMES = 24, OWN_SPRITE = 0, FOE_SPRITE = 1, BAR_COLUMNS = 8, POTION_HEALS = 20 };
enum { BATTLE_WILD = 4, BATTLE_TRAINER = 8, BATTLE_BIT = 2 };

static const Foe *foes;
static u8 foe_count, foe_at, is_trainer, flash, mine;
static Monster foe;
static Then after;
static s8 own_move, foe_move, moved; /* who has moved in this turn */
static u8 outcome;

static Monster *own(void) { return &party[mine]; }

int battling(void) { return flash || CALLBACK == IN_BATTLE; }

static void show_one(int column, int row, const Monster *monster) {
    screen_box(column, row, 14, 5);
    screen_letters(column + 1, row + 1, species_of(monster)->name);
    screen_letters(column + 1, row + 2, "LV");
    screen_number(column + 3, row + 2, monster->level);
    screen_number(column + 7, row + 2, monster->health);
    screen_bar(column + 1, row + 3, BAR_COLUMNS, 8 * BAR_COLUMNS * monster->health / monster->full_health);
}

static void show(void) {
    show_one(1, 0, &foe);
    show_one(4, 8, own()); /* left of menus */
    screen_monster(FOE_SPRITE, 176, 24, foe.species, 0);
    screen_monster(OWN_SPRITE, 0, 72, own()->species, 1);
}

static void menu(int unused);

static void end(int unused) {
    (void)unused;
    BATTLE_BITS &= ~BATTLE_BIT;
    BATTLE_OUTCOME = outcome;
    party_changed();
    screen_clear(0, 0, TEXT_COLUMNS, TEXT_ROWS);
    screen_hide(OWN_SPRITE);
    screen_hide(FOE_SPRITE);
    CALLBACK = IN_OVERWORLD;
    world_show();
    if (after)
        after(outcome);
}

static void finish(int how) {
    outcome = how;
    say(end);
}

static void next_foe(int unused) {
    (void)unused;
    foe = monster_new(foes[foe_at].species, foes[foe_at].level);
    dex_seen(foe.species);
    show();
    text(is_trainer ? "OUT COMES " : "A WILD ONE APPEARS:|");
    text(species_of(&foe)->name);
    text("!");
    say(menu);
}

static void foe_faints(int unused) {
    int gained = foe.level * (is_trainer ? 30 : 20), rose;
    (void)unused;
    rose = monster_gain(own(), gained);
    party_changed();
    show();
    text(species_of(own())->name);
    text(" GAINS ");
    text_number(gained);
    text(" POINTS.");
    if (rose) {
        text("|IT RISES TO LEVEL ");
        text_number(own()->level);
        text("!");
    }
    if (++foe_at == foe_count)
        finish(WON);
    else
        say(next_foe);
}

static void own_faints(int unused) {
    int next = party_first();
    (void)unused;
    if (next < 0) {
        text("NOBODY IS LEFT WHO CAN FIGHT!");
        finish(LOST);
        return;
    }
    mine = next;
    show();
    text("GO - ");
    text(species_of(own())->name);
    text("!");
    say(menu);
}

/* Percent of the damage that an attack of a type does to a type. */
static int effect(int attack, int type) {
    if ((attack == GRASS && (type == WATER || type == ROCK)) || (attack == FIRE && type == GRASS) ||
        (attack == WATER && (type == FIRE || type == ROCK)) || (attack == ROCK && type == FIRE))
        return 200;
    if ((attack != NORMAL && attack == type) || (attack == NORMAL && type == ROCK) || (attack == GRASS && type == FIRE) ||
        (attack == FIRE && (type == WATER || type == ROCK)) || (attack == WATER && type == GRASS) ||
        (attack == ROCK && type == GRASS))
        return 50;
    return 100;
}

static void attack(const Monster *from, Monster *to, int number) {
    const Species *kind = species_of(from);
    const Move *move = &kind->moves[number];
    int percent = effect(move->type, species_of(to)->type);
    int damage = (2 * from->level / 5 + 2) * move->power * from->attack / to->defence / 50 + 2;
    if (move->type == kind->type)
        damage = damage * 3 / 2;
    damage = damage * percent / 100 * (85 + random(16)) / 100;
    damage = damage < 1 ? 1 : damage;
    to->health = to->health > damage ? to->health - damage : 0;
    party_changed();
    show();
    text(kind->name);
    text(" USES|");
    text(move->name);
    text("!");
    if (percent > 100)
        text("|THAT HURTS!");
    else if (percent < 100)
        text("|THAT HARDLY HURTS.");
}

enum { NOBODY, OWN, FOE, BOTH = OWN | FOE };

static void turn(int unused) {
    int fast;
    (void)unused;
    if (moved == BOTH) {
        menu(0);
        return;
    }
    fast = own()->speed >= foe.speed ? OWN : FOE;
    if (moved == NOBODY ? fast == OWN : moved == FOE) {
        moved |= OWN;
        attack(own(), &foe, own_move);
        say(foe.health ? turn : foe_faints);
    } else {
        moved |= FOE;
        attack(&foe, own(), foe_move);
        say(own()->health ? turn : own_faints);
    }
}

static void begin_turn(int already) {
    moved = already;
    foe_move = random(moves_of(&foe));
}

static void chose_move(int move) {
    if (move < 0) {
        menu(0);
        return;
    }
    own_move = move;
    begin_turn(NOBODY);
    turn(0);
}

static void fight(void) {
    static const char *names[MOVES];
    for (int move = 0; move < moves_of(own()); move++)
        names[move] = species_of(own())->moves[move].name;
    text("WHICH ATTACK?");
    ask(names, moves_of(own()), chose_move);
}

static void foe_turn(void) {
    begin_turn(OWN);
    say(turn);
}

static void catch(void) {
    int chance; /* of 256 */
    if (is_trainer || !items(SAVE_BALLS)) {
        text(is_trainer ? "IT IS NOT YOURS TO CATCH!" : "THERE IS NO BALL LEFT.");
        say(menu);
        return;
    }
    items_add(SAVE_BALLS, -1);
    chance = species_of(&foe)->catch_rate * (3 * foe.full_health - 2 * foe.health) / (3 * foe.full_health);
    if (random(256) < chance) {
        text(species_of(&foe)->name);
        text(" IS CAUGHT!");
        if (!party_add(&foe))
            text("|IT GOES INTO THE BOX.");
        finish(CAUGHT);
    } else {
        text("IT BREAKS FREE!");
        foe_turn();
    }
}

static void use_potion(void) {
    Monster *one = own();
    if (!items(SAVE_POTIONS)) {
        text("THERE IS NO POTION LEFT.");
        say(menu);
        return;
    }
    items_add(SAVE_POTIONS, -1);
    one->health = one->health + POTION_HEALS > one->full_health ? one->full_health : one->health + POTION_HEALS;
    party_changed();
    show();
    text("THE POTION HELPS.");
    foe_turn();
}

static void run(void) {
    if (is_trainer) {
        text("THERE IS NO RUNNING FROM|A TRAINER!");
        say(menu);
    } else if (random(4)) {
        text("GOT AWAY SAFELY.");
        finish(FLED);
    } else {
        text("THERE IS NO WAY OUT!");
        foe_turn();
    }
}

static void chose(int option) {
    if (option == 0)
        fight();
    else if (option == 1)
        catch();
    else if (option == 2)
        use_potion();
    else if (option == 3)
        run();
    else
        menu(0);
}

static void menu(int unused) {
    static const char *const options[] = {"FIGHT", "CATCH", "ITEM", "RUN"};
    (void)unused;
    text("WHAT WILL ");
    text(species_of(own())->name);
    text(" DO?|BALLS ");
    text_number(items(SAVE_BALLS));
    text("  POTIONS ");
    text_number(items(SAVE_POTIONS));
    ask(options, 4, chose);
}

void battle_start(const Foe *list, int count, int trainer, Then then) {
    foes = list;
    foe_count = count;
    foe_at = 0;
    is_trainer = trainer;
    after = then;
    mine = party_first();
    flash = FLASH_FRAMES;
    BATTLE_TYPE = trainer ? BATTLE_TRAINER : BATTLE_WILD;
    BATTLE_OUTCOME = 0;
    BATTLE_BITS |= BATTLE_BIT;
    CALLBACK = BETWEEN;
}

void battle_frame(void) {
    int phase;
    if (!flash)
        return;
    flash--;
    phase = flash & 7;
    screen_dark(flash ? 2 * (phase < 4 ? phase : 8 - phase) : 0);
    if (flash)
        return;
    for (int sprite = 0; sprite < SPRITES; sprite++)
        screen_hide(sprite);
    screen_map(0);
    CALLBACK = IN_BATTLE;
    next_foe(0);
}
