"""The world: maps as letters (see squares.py), what leads from where to where, and what signs say."""

MAPS = {  # in the order of world.h
    "FERN": """
########.########
#...............#
#.RRRR...''''''.#
#.RRRR...''''''.#
#.WDWW..........#
#...............#
#.........~~~~..#
#.........~~~~..#
#.........~~~~..#
#.....S.........#
#...............#
#################
""",
    "ROUTE_1": """
#######.#######
#####.....#####
####...,,,..###
###..,,,,,,..##
##...,,,,,,...#
##.....S......#
####.#####.####
#..........,,.#
#.,,,.....,,,.#
#.,,,.........#
#######.#######
#....,,.,,....#
#...,,,.,,,...#
#....,,.,,....#
#####.....#####
#######.#######
""",
    "OAK": """
####################
#..................#
#.RRRR..RRRRR.GGGGG#
#.RRRR..RRRRR.GGGGG#
#.WDWW..WWDWW.WWDWW#
#..................#
#....S.......S.....#
#...................
###''.......''######
####'..~~...########
#####..~~..#########
######....##########
########..##########
#########.##########
""",
    "GYM_1": """
   BBBBBBBBB
   BFFFFFFFB
   BFFFFFFFB
   BOOOFOOOB
   BFFFFFFFB
   BFOOOOOFB
   BFFFFFFFB
   BOOFFFOOB
   BFFFFFFFB
   BBBBEBBBB
""",
    "HEALER": """
   BBBBBBBBB
   BFFFFFCPB
   BCCCCCCFB
   BFFFFFFFB
   BFFFFFFFB
   BFFFFFFFB
   BBBBEBBBB
""",
    "SHOP": """
   BBBBBBBBB
   BFFCMMMMB
   BCCCFFFFB
   BFFFFFFFB
   BFFFFFFFB
   BMMFFFMMB
   BBBBEBBBB
""",
    "ROUTE_2": """
####################
#..,,,..##.....,,,.#
#..,,,..##.....,,,.#
#.......##..S......#
#..S....##.........#
#.......##.........#
........T...........
#.......##..,,,....#
#..,,,..##..,,,....#
#..,,,..##..,,,....#
####################
""",
    "PORT": """
####################
#.RRRR...GGGGG.....#
#.RRRR...GGGGG.....#
#.WDWW...WWDWW.....#
#..................#
#......S.....S.....#
...................#
#..................#
#~~~~~~~~~K~~~~~~~~#
#~~~~~~~~KKK~~~~~~~#
#~~~~~~~~KKK~~~~~~~#
####################
""",
    "GYM_2": """
   BBBBBBBBB
   BFFFFFFFB
   BOFFFFFOB
   BOOOFOOOB
   BFFFFFFFB
   BFOOOOOFB
   BFFFFFFFB
   BFFOFOFFB
   BFFFFFFFB
   BBBBEBBBB
""",
    "ISLAND": """
################
#~~~~~~~~~~~~~~#
#~~........~~~~#
#~..GGGGG....~~#
#~..GGGGG..S.~~#
#~..WWDWW....~~#
#~...........~~#
#~~..,,,,...~~~#
#~~..,,,,.KK~~~#
#~~~~~~~~~KK~~~#
################
""",
    "GYM_3": """
   BBBBBBBBB
   BFFFFFFFB
   BFOFFFOFB
   BOOOFOOOB
   BFFFFFFFB
   BFOOOOOFB
   BFFFOFFFB
   BFOFFFOFB
   BFFFFFFFB
   BBBBEBBBB
""",
}
LEAST_WIDTH, LEAST_HEIGHT = 15, 10  # of the screen

START = (7, 9)  # in Fern

# (map, x, y) -> (map, x, y); None: back to where one came in.
PORTALS: dict[tuple[str, int, int], tuple[str, int, int] | None] = {
    ("FERN", 8, 0): ("ROUTE_1", 7, 14),
    ("ROUTE_1", 7, 15): ("FERN", 8, 1),
    ("ROUTE_1", 7, 0): ("OAK", 9, 12),
    ("OAK", 9, 13): ("ROUTE_1", 7, 1),
    ("OAK", 19, 7): ("ROUTE_2", 1, 6),
    ("ROUTE_2", 0, 6): ("OAK", 18, 7),
    ("ROUTE_2", 19, 6): ("PORT", 1, 6),
    ("PORT", 0, 6): ("ROUTE_2", 18, 6),
    ("FERN", 3, 4): ("HEALER", 7, 5),
    ("OAK", 3, 4): ("HEALER", 7, 5),
    ("PORT", 3, 3): ("HEALER", 7, 5),
    ("OAK", 10, 4): ("SHOP", 7, 5),
    ("OAK", 16, 4): ("GYM_1", 7, 8),
    ("PORT", 11, 3): ("GYM_2", 7, 8),
    ("ISLAND", 6, 5): ("GYM_3", 7, 8),
    ("HEALER", 7, 6): None,
    ("SHOP", 7, 6): None,
    ("GYM_1", 7, 9): None,
    ("GYM_2", 7, 9): None,
    ("GYM_3", 7, 9): None,
}

# In the order in which they stand in the maps.
SIGNS = (
    "FERN TOWN. WHERE IT BEGINS.",
    "ROUTE ONE. NORTH: OAK CITY.",
    "OAK CITY. HEALER, AND SHOP|WITH GAMES.",
    "GYM OF ROCCO, THE STONE.",
    "EAST, BEYOND THE TREE: PORT.",
    "ROUTE TWO. EAST: THE PORT.",
    "THE PORT. HEALER.",
    "GYM OF FLORA, THE FLAME.",
    "GYM OF MARINA, THE WAVE.",
)


def rows(name: str) -> list[str]:
    """A map's rows, as wide and high as the screen at least."""
    lines = MAPS[name].strip("\n").split("\n")
    width = max(LEAST_WIDTH, *map(len, lines))
    lines += [""] * (LEAST_HEIGHT - len(lines))
    return [line.ljust(width) for line in lines]


def find(letter: str) -> list[tuple[str, int, int]]:
    """Where a square is: (map, x, y), in order."""
    return [
        (name, x, y)
        for name in MAPS
        for y, row in enumerate(rows(name))
        for x, other in enumerate(row)
        if other == letter
    ]
