"""The broadcast's script: scenes, spoken lines and turning points, all in seconds from the start."""

from dataclasses import dataclass
from typing import Literal

LENGTH = 270.0  # 9 segments of 30 s

GOLEM_FALLS = 92.0
DRAGON_FALLS = 196.0
LAKE = 51.0
CHEST_OPENS = 249.5

# Where a viewer would say that it was exciting; a test's ground truth.
HIGHLIGHTS = (
    (74.0, 106.0, "the golem falls"),
    (172.0, 206.0, "the dragon falls"),
)

SCENES = (
    (0.0, "title"),
    (6.0, "valley"),
    (71.0, "golem"),
    (108.0, "away"),
    (136.0, "shop"),
    (170.0, "dragon"),
    (206.5, "camp"),
    (245.0, "chest"),
    (262.5, "farewell"),
)


@dataclass(frozen=True)
class Line:
    """A spoken line: when it begins, who says it, how."""

    time: float
    speaker: Literal["Rook", "Wren"]
    words: str
    excited: bool = False


LINES = (
    Line(0.8, "Rook", "Hello everyone, and welcome back to the channel. Tonight we are climbing the frozen tower."),
    Line(7.8, "Wren", "Good evening. I will count the points tonight, while he falls off things."),
    Line(15.0, "Rook", "Very funny. We have two monsters to beat, the golem at the gate, and the dragon at the top."),
    Line(23.0, "Rook", "Let us take the valley road first. It is a long walk, so tell me how your week was."),
    Line(33.0, "Wren", "Somebody asks what build you are using tonight."),
    Line(37.5, "Rook", "Just the long sword and a light shield. Nothing special, but I have new boots."),
    Line(46.0, "Rook", "There should be a bridge somewhere around here."),
    Line(51.6, "Rook", "Oh no! I walked straight into the lake!", excited=True),
    Line(55.0, "Wren", "That is the third time this month. I cannot stop laughing."),
    Line(60.5, "Rook", "All right, all right. Let us dry off and keep walking."),
    Line(66.0, "Wren", "The gate is right ahead. I can see the golem."),
    Line(72.0, "Rook", "Here we go! Look at the size of that thing!", excited=True),
    Line(75.6, "Wren", "Careful, careful, it is charging! Roll to the left!", excited=True),
    Line(80.0, "Rook", "I dodged it! Now hit the legs, hit the legs!", excited=True),
    Line(84.2, "Wren", "Half of its health is gone! This is so fast!", excited=True),
    Line(88.4, "Rook", "One more combo! Come on, come on!", excited=True),
    Line(92.4, "Rook", "Yes! Yes! We did it! The golem is down!", excited=True),
    Line(96.6, "Wren", "What a finish! That was unbelievable! On the first try!", excited=True),
    Line(101.4, "Rook", "Did you see that last hit? Incredible! I love this game!", excited=True),
    Line(109.0, "Rook", "Okay. I need a glass of water. Back in half a minute."),
    Line(137.0, "Rook", "And we are back. Let us visit the shop before we meet the dragon."),
    Line(142.0, "Rook", "Our coffee mug is for sale again, at a discount until Sunday. The link is below."),
    Line(150.4, "Wren", "It keeps your tea warm for hours. I have one here on my desk."),
    Line(155.6, "Rook", "In the game, I buy two potions and a fire charm. That leaves me with forty gold coins."),
    Line(163.5, "Wren", "Spend them wisely. The stairs to the top are open."),
    Line(170.6, "Rook", "This is it! The ice dragon! Everybody hold on!", excited=True),
    Line(175.4, "Wren", "It is breathing frost! Get behind the pillar!", excited=True),
    Line(180.3, "Rook", "That was so close! I have ten health left!", excited=True),
    Line(183.8, "Wren", "Ten health, and no potions! How is he still alive?", excited=True),
    Line(188.4, "Rook", "Fire charm, now! Go, go, go!", excited=True),
    Line(192.0, "Wren", "It is falling! One hit, just one more hit!", excited=True),
    Line(196.4, "Rook", "Yes! The dragon is dead! Oh my god, we won!", excited=True),
    Line(201.0, "Wren", "Best fight of the year! I am screaming! The chat is going crazy!", excited=True),
    Line(210.3, "Rook", "My hands are shaking. Let us sit by the fire for a moment."),
    Line(214.5, "Rook", "A few questions from the chat. No, I do not have a cat. My brother does."),
    Line(222.5, "Wren", "Tomorrow we start at eight, in the same place."),
    Line(235.0, "Rook", "It is a nice and quiet night up here."),
    Line(245.6, "Rook", "Before we go, let us open the chest."),
    Line(250.2, "Rook", "No way! A legendary sword! Look at all that golden light!", excited=True),
    Line(255.4, "Wren", "One in a thousand! You lucky man!", excited=True),
    Line(262.8, "Rook", "Thank you all for watching. Good night, and see you tomorrow."),
)

# (time, seconds, loudness 0 to 1): a hall full of people, heard over the stream.
CHEERS = (
    (52.2, 2.5, 0.25),  # laughter at the lake
    (78.5, 2.0, 0.35),
    (81.5, 2.0, 0.4),
    (GOLEM_FALLS, 13.0, 1.0),
    (179.0, 2.5, 0.4),
    (186.5, 2.0, 0.4),
    (DRAGON_FALLS, 11.0, 1.0),
    (CHEST_OPENS, 6.0, 0.6),
)

# Blows, seconds; the boss loses health at each, and they are seen and heard.
GOLEM_HITS = (74.4, 77.2, 80.6, 81.4, 82.2, 84.0, 85.6, 86.8, 88.2, 89.4, 90.2, 91.0, GOLEM_FALLS)
DRAGON_HITS = (172.6, 174.0, 178.4, 181.2, 182.6, 184.8, 186.2, 188.8, 189.6, 190.4, 191.2, 193.4, 194.6, DRAGON_FALLS)
HERO_HIT = (79.0, 176.4, 178.0, 179.2)


def scene_at(time: float) -> tuple[str, float]:
    """The scene's name and the seconds since it began."""
    start, name = max((start, name) for start, name in SCENES if start <= time)
    return name, time - start


def excitement(time: float) -> float:
    """How much is going on, 0 to 1: rises through a fight, peaks when it is won, fades in ten seconds."""
    level = 0.08
    for begin, won in ((71.0, GOLEM_FALLS), (170.0, DRAGON_FALLS)):
        if begin <= time < won:
            level = max(level, 0.35 + 0.45 * (time - begin) / (won - begin))
        elif won <= time < won + 14:
            level = max(level, 1.0 - max(0.0, time - won - 6) / 10)
    for moment, peak in ((LAKE, 0.45), (CHEST_OPENS, 0.7)):
        if moment <= time < moment + 10:
            level = max(level, peak * (1 - (time - moment) / 12))
    return level
