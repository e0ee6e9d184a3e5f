"""Players of Monsters who look at memory before each decision, so that a stray step throws none of them off."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hakisa_envs.retro.game_files import HOMEBREW, Variable
from hakisa_envs.retro.pokemon.actions import BUTTONS, DIRECTIONS
from hakisa_envs.retro.pokemon.emerald import KEY, SAVE_BLOCK_1, SAVE_BLOCK_2, Reading, Scene
from hakisa_envs.retro.pokemon.env import PokemonEmeraldEnv
from hakisa_envs.retro.pokemon.game import MONSTERS
from hakisa_envs.retro.pokemon.quantities import TEMPORARY

sys.path.append(str(HOMEBREW / "monsters"))  # its scripts import one another from their own folder

from maps import MAPS, PORTALS, rows
from walker import KINDS, STEPS, WALKED

Spot = tuple[str, int, int]
NAMES = list(MAPS)
SCREENFUL = 240  # frames that a decision may take
A, B = BUTTONS.index("A"), BUTTONS.index("B")
BALLS = 0x650 + 2  # how many, in save block 1
BATTLE_TYPE, OF_A_TRAINER = Variable(0x02022FEC, "<u4"), 8


class Player:
    """Plays one env; with a probability of ``detours`` a decision is a random one."""

    def __init__(self, seed: int, state: str, detours: float) -> None:
        self.env = PokemonEmeraldEnv(
            game=MONSTERS, until_control=SCREENFUL, observation="state", state=state, reward="dvruette"
        )
        self.generator = np.random.default_rng(seed)
        self.info = self.env.reset(seed=seed)[1]
        self.reward = 0.0
        self._detours = detours
        self._blocked: set[Spot] = set()
        self._outside: Spot | None = None  # where the door of the house leads that one is in

    @property
    def reading(self) -> Reading:
        """What is so now."""
        reading = self.env._game.reading
        assert reading is not None
        return reading

    @property
    def where(self) -> Spot:
        """Map, x and y."""
        place = self.reading.place
        assert place is not None
        return NAMES[place.number], place.x, place.y

    @property
    def is_fighting(self) -> bool:
        return self.reading.scene is Scene.BATTLE

    @property
    def is_free(self) -> bool:
        """Whether one may walk."""
        return self.reading.scene is Scene.OVERWORLD and not self.reading.locked

    @property
    def faces_trainer(self) -> bool:
        """In a fight: one cannot run from it, nor catch."""
        return bool(self.env._game.open().read(BATTLE_TYPE) & OF_A_TRAINER)

    @property
    def balls(self) -> int:
        """With which monsters are caught."""
        read = self.env._game.open().read
        block, key = (read(Variable(pointer, "<u4")) for pointer in (SAVE_BLOCK_1, SAVE_BLOCK_2))
        return int(read(Variable(block + BALLS, "<u2")) ^ read(Variable(key + KEY, "<u2")))

    def kind(self, spot: Spot) -> str:
        """How a square is walked on, now that a tree may be cut."""
        kind = _kind(spot)
        return "FREE" if kind == "TREE" and (self.reading.flags or 0) & TEMPORARY else kind

    @property
    def health(self) -> float:
        """Of the party, from 0 to 1."""
        party = self.reading.party or ()
        return sum(one.health for one in party) / max(1, sum(one.full_health for one in party))

    def act(self, direction: str = "", button: int = 0) -> None:
        """A decision, or a random one."""
        action = len(BUTTONS) * DIRECTIONS.index(direction) + button
        if self.generator.random() < self._detours:
            action = int(self.generator.integers(len(BUTTONS) * len(DIRECTIONS)))
        before, was_free = self.where, self.is_free
        _, self.reward, *_, self.info = self.env.step(action)
        now, ahead = self.where, _ahead(before, DIRECTIONS[action // len(BUTTONS)])
        if now[0] != before[0] and _kind(ahead) == "DOOR":
            self._outside = (before[0], ahead[1], ahead[2] + 1)
        if now == before and ahead != before and was_free and self.is_free and _kind(ahead) != "TREE":
            self._blocked.add(ahead)

    def way(self, target: Spot) -> str:
        """Where to walk now; what was in the way is tried again now and then."""
        if self.generator.random() < 0.02:
            self._blocked.clear()
        return self._way(target) or str(self.generator.choice(DIRECTIONS[1:]))

    def ahead(self, direction: str) -> Spot:
        """The square there."""
        return _ahead(self.where, direction)

    def _way(self, target: Spot) -> str | None:
        """The first step of the shortest way through all maps, by trees if they can be cut."""
        walked = (*WALKED, "TREE") if self.reading.badges else WALKED
        queue, first = deque([self.where]), {self.where: ""}
        while queue:
            here = queue.popleft()
            if here == target:
                break
            for name in STEPS:
                ahead = _ahead(here, name)
                if ahead in self._blocked or _kind(ahead) not in walked:
                    continue
                to = PORTALS.get(ahead, ahead) or self._outside
                if to is not None and to not in first:
                    first[to] = first[here] or name
                    queue.append(to)
        return first.get(target)

    def close(self) -> None:
        """Let the game go."""
        self.env.close()


def _ahead(spot: Spot, direction: str) -> Spot:
    dx, dy = STEPS.get(direction, (0, 0))
    return spot[0], spot[1] + dx, spot[2] + dy


def _kind(spot: Spot) -> str:
    name, x, y = spot
    squares = rows(name)
    inside = 0 <= y < len(squares) and 0 <= x < len(squares[0])
    return KINDS[squares[y][x]] if inside else "BLOCKED"


# A script makes one decision whenever it is asked for the next thing.
Script = Callable[[Player], Iterator[None]]


def through(player: Player, chooses: str = "") -> Iterator[None]:
    """Until one may walk: say yes, fight; or choose what a menu has in a direction from its first entry."""
    while not player.is_free:
        if chooses:
            player.act(chooses)
            yield
        if not player.is_free:
            player.act(button=A)
            yield


def pick(player: Player, *presses: str) -> Iterator[None]:
    """In a fight's first menu, directions and ``"A"``, one after the other; B leads back to it from any other."""
    player.act(button=B)
    yield
    for press in presses:
        if player.is_fighting:
            player.act(*("", A) if press == "A" else (press,))
            yield


def flee(player: Player) -> Iterator[None]:
    """Run, where one can."""
    while player.is_fighting:
        yield from through(player) if player.faces_trainer else pick(player, "UP", "A")


def catch(player: Player) -> Iterator[None]:
    """Throw balls while there are some, when one hit has weakened what is not much weaker by itself."""
    if not player.faces_trainer and player.balls and max(one.level for one in player.reading.party or ()) < STRONG:
        yield from pick(player, "A", "A")
    while player.is_fighting:
        yield from pick(player, "DOWN", "A") if player.balls and not player.faces_trainer else flee(player)


def go(player: Player, target: Spot, in_fights: Script = through) -> Iterator[None]:
    """Walk there; cut trees; in fights, fight or do something else."""
    while player.where != target or not player.is_free:
        if player.is_fighting:
            yield from in_fights(player)
        elif not player.is_free:
            yield from through(player)
        else:
            direction = player.way(target)
            is_tree = player.kind(player.ahead(direction)) == "TREE"
            player.act(direction)
            yield
            if is_tree and player.is_free:
                player.act(button=A)
                yield


def use(player: Player, target: Spot, facing: str, chooses: str = "", in_fights: Script = through) -> Iterator[None]:
    """Go there, speak to whom or what is there, and say yes."""
    yield from go(player, target, in_fights)
    player.act(facing)
    yield
    if player.is_free:
        player.act(button=A)
        yield
    yield from through(player, chooses)


SECOND = "DOWN"  # of any menu
PRICE_OF_A_BALL = 200
STRONG = 7  # the level from which a hit would not weaken what lives in the grass, but beat it
NURSE: Spot = ("HEALER", 6, 3)
GRASS: dict[str, list[Spot]] = {
    name: [(name, x, y) for y, row in enumerate(rows(name)) for x, square in enumerate(row) if square == ","]
    for name in ("ROUTE_1", "ROUTE_2")
}
FAR_GRASS = [spot for spot in GRASS["ROUTE_2"] if spot[1] > 9]  # beyond the tree


def search(player: Player, in_fights: Script = through, spots: Sequence[Spot] = GRASS["ROUTE_1"]) -> Iterator[None]:
    """Walk to some place in the grass."""
    yield from go(player, spots[int(player.generator.integers(len(spots)))], in_fights)


def ferry(player: Player) -> Iterator[None]:
    """There and back."""
    while True:
        island = player.where[0] == "ISLAND"
        yield from use(player, ("ISLAND", 11, 8) if island else ("PORT", 10, 9), "DOWN")


def gambling(player: Player) -> Iterator[None]:
    """At a machine in the shop."""
    while True:
        yield from use(player, ("SHOP", 8, 2), "UP")


def heal(player: Player) -> Iterator[None]:
    """Get hurt, run, get healed."""
    while True:
        while player.health == 1:
            yield from search(player, flee, FAR_GRASS)
        yield from use(player, NURSE, "UP", in_fights=flee)


def cut(player: Player) -> Iterator[None]:
    """Cut the tree, leave, come back: it has grown again."""
    while True:
        yield from use(player, ("ROUTE_2", 7, 6), "RIGHT")
        yield from go(player, ("OAK", 18, 7))


def box(player: Player) -> Iterator[None]:
    """Catch a second one; then into the box with it and out again."""
    while (player.reading.owned or 0).bit_count() < 2:
        if player.health < 0.5:
            yield from use(player, NURSE, "UP", in_fights=catch)
        elif not player.balls and (player.reading.money or 0) >= PRICE_OF_A_BALL:
            yield from use(player, ("SHOP", 4, 3), "UP", in_fights=flee)
        elif not player.balls and not player.reading.badges:  # who is beaten pays
            yield from use(player, ("GYM_1", 7, 2), "UP", in_fights=flee)
        elif not player.balls:  # as much is won as lost, but in tens
            yield from use(player, ("SHOP", 8, 2), "UP", in_fights=flee)
        else:
            yield from search(player, catch)
    while True:
        if not all(one.health for one in player.reading.party or ()):
            yield from use(player, NURSE, "UP")  # the box takes none if nobody would be left who can fight
        for chosen in ("", SECOND):
            yield from use(player, ("HEALER", 10, 2), "UP", chosen)


def levelling(at: float, flees: float = 0.0) -> Script:
    """Fight in the grass, or flee with a probability, and get healed below a share of health."""

    def play(player: Player) -> Iterator[None]:
        while True:
            while player.health > at:
                yield from search(player, flee if player.generator.random() < flees else through)
            yield from use(player, NURSE, "UP")

    return play


def journey(player: Player) -> Iterator[None]:
    """Badges, with healing where it is needed; then the grass."""
    while not player.reading.party:
        yield from use(player, ("FERN", 8, 8), "UP")
    while player.reading.badges < 1:
        yield from levelling_to(player, 8)
        yield from use(player, ("GYM_1", 7, 2), "UP")
    yield from go(player, ("PORT", 1, 6))
    while player.reading.badges < 2:
        yield from use(player, NURSE, "UP")
        yield from use(player, ("GYM_2", 7, 2), "UP")
    yield from levelling(0.5)(player)


def levelling_to(player: Player, level: int) -> Iterator[None]:
    """The same, up to a level; then healed once more."""
    fights = levelling(0.5)(player)
    while max(one.level for one in player.reading.party or ()) < level:
        next(fights)
        yield
    yield from use(player, NURSE, "UP")


def wandering(player: Player) -> Iterator[None]:
    """From anywhere to anywhere; fights are fought, and healed after when it is close."""
    spots = [
        (name, x, y)
        for name in ("FERN", "ROUTE_1", "OAK", "HEALER", "SHOP", "GYM_1")
        for y, row in enumerate(rows(name))
        for x, square in enumerate(row)
        if KINDS[square] == "FREE"
    ]
    while True:
        target = spots[int(player.generator.integers(len(spots)))]
        for _ in zip(range(120), go(player, target), strict=False):  # somebody may stand there
            yield
        if player.health < 0.5:
            yield from use(player, NURSE, "UP")


def random_play(player: Player) -> Iterator[None]:
    """Anything."""
    while True:
        player.act(str(player.generator.choice(DIRECTIONS)), int(player.generator.integers(len(BUTTONS))))
        yield
