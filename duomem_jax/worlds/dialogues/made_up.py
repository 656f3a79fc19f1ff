"""Words and names that nobody uses.

Three training dialogues in four have them in place of their names and values: what is copied from
a conversation cannot be learnt by heart then, and a name of a held-out dialogue is as new as any.
"""

import functools
import re
from collections.abc import Iterator

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.dialogues.generate.tables import tables

_ONSETS = (
    *("b", "br", "bl", "c", "ch", "cl", "cr", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "h"),
    *("j", "k", "kh", "l", "m", "n", "ng", "p", "pl", "pr", "qu", "r", "s", "sc", "sh", "sk", "sl"),
    *("sm", "sn", "sp", "st", "str", "sw", "t", "th", "tr", "v", "w", "x", "y", "z", "zh"),
)
_VOWELS = (
    *("a", "e", "i", "o", "u") * 3,
    *("ai", "ay", "ea", "ee", "ie", "oo", "ou", "oa", "ia", "ua", "y"),
)
_ACCENTED = (*"áéíóúàèâêôãõäöüåøæýğşčšžłńßçñě", "ão", "ę", "ė", "ū", "ij")
_CODAS = (
    *("",) * 14,
    *(
        "b",
        "ck",
        "d",
        "ft",
        "g",
        "k",
        "l",
        "ld",
        "ll",
        "lt",
        "m",
        "mp",
        "n",
        "nd",
        "ng",
        "nk",
        "nt",
    ),
    *("p", "r", "rd", "rk", "rn", "rt", "s", "sh", "ss", "st", "t", "th", "tch", "x", "z"),
)
_ENDINGS = (
    *("ing", "er", "ist", "or", "ian", "ment", "tion", "ry", "ant", "ent", "ly", "man", "a", "o"),
    *("ie", "on", "en", "ita", "ova", "ino", "berg", "ton", "ville", "ia", "an", "ese", "ish"),
)
# First and last letter of scripts, and how many letters a name in them has.
_SCRIPTS = {
    "cyrillic": (0x430, 0x44F, (3, 7)),
    "han": (0x4E00, 0x9FA0, (2, 3)),
    "kana": (0x30A2, 0x30F3, (2, 4)),
    "arabic": (0x627, 0x64A, (3, 6)),
    "hangul": (0xAC00, 0xD7A3, (2, 3)),
}
_WORD = re.compile(r"[^\W\d_]+")


@functools.cache
def held_out_words() -> frozenset[str]:
    """Words of the names and values of held-out dialogues."""
    side = tables(held_out=True)
    return frozenset(
        word.casefold()
        for text in _texts([side["names"], side["values"]])
        for word in _WORD.findall(text)
    )


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for each in node.values():
            yield from _texts(each)
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each)


def made_up(draw: Draw, like: str = "") -> str:
    """A word in Latin letters that no held-out name or value has.

    Args:
        draw: which one.
        like: it begins with a vowel if this does, so that "a" or "an" before it stays right, and
            with a capital if this does.
    """
    while True:
        vowel = like[:1].casefold() in tuple("aeiou") if like else draw.chance(0.2)
        word = _latin(draw, vowel)
        if word not in held_out_words():
            return word[:1].upper() + word[1:] if like[:1].isupper() else word


def _latin(draw: Draw, vowel: bool) -> str:
    accents = 0.25 if draw.chance(0.2) else 0.0
    parts = []
    for i in range(draw.pick((1, 1, 2, 2, 2))):
        parts.append("" if vowel and not i else draw.pick(_ONSETS))
        # "an" is right before these and may not be before "y" or "u".
        first = "aeio" if vowel and not i else draw.pick(_VOWELS)
        parts.append(draw.pick(first) if vowel and not i else first)
        if accents and draw.chance(accents) and (i or not vowel):
            parts[-1] = draw.pick(_ACCENTED)
        parts.append(draw.pick(_CODAS))
    if draw.chance(0.2):
        parts.append(draw.pick(_ENDINGS))
    return "".join(parts)


def made_up_name(draw: Draw) -> str:
    """A name, in some script."""
    if draw.chance(0.75):
        return made_up(draw, draw.pick(("N", "N", "N", "A")))
    low, high, lengths = _SCRIPTS[draw.pick(list(_SCRIPTS))]
    return "".join(chr(draw.between(low, high)) for _ in range(draw.between(*lengths)))


def made_up_value(draw: Draw, value: str) -> str:
    """Something of the form of a value: "the food bank" becomes "the grim stent".

    Numbers become other numbers, small words stay.
    """
    return " ".join(_like(draw, word) for word in value.split(" "))


def _like(draw: Draw, word: str) -> str:
    if word.isdigit():
        return str(draw.between(10 ** (len(word) - 1), 10 ** len(word) - 1))
    if "," in word or word.casefold() in _KEPT:
        return word
    return _WORD.sub(lambda match: made_up(draw, match[0]), word)


_KEPT = frozenset(("the", "of", "on", "by", "a", "an", "euros", "kilometres", "and", "in"))
