"""What viewers write: they react seconds after a moment, many at once when it is big, in English and Chinese."""

import zlib
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from demo_stream import script

QUIET_RATE, LOUD_RATE = 0.2, 3.6  # comments per second at no and at full excitement
DELAY = (1.5, 5.5)  # seconds from a moment to the comments on it
SENT = 1_780_000_000  # the second of the first comment, fixed so that the file never changes

# One string a mood, what people write in it between the strokes.
WORDS = {
    "title": (
        "hello everyone / first! / evening all / 来了来了 / 主播晚上好 / 刚下班，赶上了 / "
        "good evening from Oslo / is the sound ok for you? / 声音正常 / hi Rook, hi Wren"
    ),
    "valley": (
        "long week, glad it is Friday / what boots are those / 这个地图好安静 / music is nice / 想睡觉了 / "
        "I am cooking soup / how long is the road / 今天作业好多 / which server is this / "
        "just chatting tonight? / 喝口水 / my cat is asleep on the keyboard"
    ),
    "lake": (
        "LOL / hahahaha / 哈哈哈哈哈哈 / again?! / 又掉水里了 / 😂😂😂 / 第三次了，笑死 / swimming lesson / "
        "KEKW / 233333 / the lake wins again / 名场面"
    ),
    "golem": (
        "here it comes / boss time! / 来了来了来了 / careful! / roll roll roll / 小心左边 / he is huge / "
        "nice dodge / 打腿打腿 / go for the legs / 加油加油加油 / so fast!! / 快了快了 / half health! / "
        "come on!!!"
    ),
    "won": (
        "YES!!!! / GG / gg wp / 666666 / 太强了 / LET'S GO / what a finish / first try!!! / 牛啊牛啊牛啊 / "
        "POGGERS / 哈哈哈哈赢了 / unbelievable / clip that! / 帅炸了 / 🎉🎉🎉 / 👏👏👏 / INSANE / 主播太猛了 / "
        "8888888 / wow / that last hit!! / 泪目"
    ),
    "away": "brb too / 倒水去 / back soon / 有人吗 / quiet / 去拿外卖 / what time is it there / zzz",
    "shop": (
        "how much is the mug / 杯子多少钱 / does it ship abroad? / 已买 / link works for me / 颜色好看 / "
        "I have that one already / 能便宜点吗 / buy two potions / the fox is cute / 买火焰护符 / "
        "save some gold"
    ),
    "dragon": (
        "the dragon!! / 龙来了 / hide!! / 快躲柱子后面 / OMG so close / 10 health... / 十滴血！！！ / "
        "how is he alive / 心跳加速 / use the charm / 快用护符 / I cannot watch / 别死别死别死 / "
        "one more hit!! / 最后一下！ / my hands are sweating"
    ),
    "dragon won": (
        "YEEEEES / HE DID IT / 赢了赢了赢了！！！ / GG!!!! / 6666666666 / best fight of the year / 我哭了 / "
        "😭😭😭 / legend / 什么神仙操作 / goosebumps / clip it clip it / 太燃了 / 🔥🔥🔥 / LET'S GOOOO / "
        "8888888888 / no way no way no way / 史诗级 / ❤️❤️❤️ / unreal / with ten health!! / 主播封神"
    ),
    "camp": (
        "calm now / 呼 / nice fire / 晚安歌单求分享 / what is your cat called / 明天几点播 / see you at eight / "
        "有点困了 / stars look good / quiet night"
    ),
    "chest": "open it / 开箱开箱 / please be good",
    "drop": (
        "NO WAY / 金色传说！ / LEGENDARY / 欧皇 / one in a thousand / 666 / so lucky / 羡慕哭了 / wow wow wow / "
        "运气也太好了"
    ),
    "farewell": "good night! / 晚安 / bye bye / 明天见 / thanks for the stream / 辛苦了 / gg all / best stream",
}
MOODS = {mood: words.split(" / ") for mood, words in WORDS.items()}

GIFTS = (
    (94.8, "Mio", "小花花", 10),
    (97.2, "northwind", "火箭", 1),
    (199.0, "阿澈", "小花花", 66),
    (203.4, "Lena", "火箭", 2),
)
SUPER_CHATS = ((98.6, "Tomas", 30, "That was worth staying up for."), (202.2, "小鱼", 50, "恭喜通关！明天继续支持"))
NAME_LIST = (
    "Mio / northwind / 阿澈 / Lena / Tomas / 小鱼 / quietfox / kettle / 老王 / Ines / 白菜 / orbit9 / "
    "Sanna / 橘子汽水 / plum / Juno / 夜行者 / maple / Ravi / 三文鱼 / dotcom / Elif / 青山 / pebble"
)
NAMES = NAME_LIST.split(" / ")


@dataclass(frozen=True)
class Message:
    time: float
    name: str
    text: str


def mood_at(time: float) -> str:
    """What people talk about `time` seconds in, by what they have just seen."""
    for begin, end, mood in (
        (script.LAKE, script.LAKE + 9, "lake"),
        (script.GOLEM_FALLS, 107.0, "won"),
        (script.DRAGON_FALLS, 208.0, "dragon won"),
        (script.CHEST_OPENS, 262.0, "drop"),
    ):
        if begin <= time < end:
            return mood
    return script.scene_at(time)[0]


def messages() -> list[Message]:
    """All comments in order of time; the same each time this is asked."""
    rng = np.random.default_rng(2024)
    said: list[Message] = []
    unsaid: dict[str, list[str]] = {}
    for seen in np.arange(0, script.LENGTH - DELAY[0], 0.1):
        rate = QUIET_RATE + LOUD_RATE * max(0.0, script.excitement(seen) - 0.08) ** 1.5
        if rng.random() > rate * 0.1:
            continue
        mood = mood_at(float(seen))
        if not unsaid.get(mood):
            unsaid[mood] = [MOODS[mood][i] for i in rng.permutation(len(MOODS[mood]))]
        time = float(seen + rng.triangular(DELAY[0], 2.5, DELAY[1]))
        if time < script.LENGTH:
            said.append(Message(round(time, 3), NAMES[int(rng.integers(len(NAMES)))], unsaid[mood].pop()))
    return sorted(said, key=lambda message: message.time)


def danmaku_xml() -> str:
    """The comments, gifts and super chats as a recorder writes them, in order of time."""
    rows = [(message.time, danmaku(number, message)) for number, message in enumerate(messages())]
    for time, name, gift, count in GIFTS:
        fields = f'ts="{time}" user={quoteattr(name)} uid="{uid(name)}" giftname={quoteattr(gift)} giftcount="{count}"'
        rows.append((time, f"<gift {fields} />"))
    for time, name, price, text in SUPER_CHATS:
        fields = f'ts="{time}" user={quoteattr(name)} uid="{uid(name)}" price="{price}" time="60"'
        rows.append((time, f"<sc {fields}>{escape(text)}</sc>"))
    body = "\n".join(f"  {row}" for _, row in sorted(rows))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<i>\n{body}\n</i>\n'


def danmaku(number: int, message: Message) -> str:
    sent = SENT + int(message.time)
    p = f"{message.time:.3f},1,25,16777215,{sent},0,{uid(message.name)},{number + 1}"
    return f'<d p="{p}" user={quoteattr(message.name)}>{escape(message.text)}</d>'


def uid(name: str) -> str:
    return f"{zlib.crc32(name.encode()):08x}"
