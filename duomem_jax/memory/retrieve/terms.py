"""The terms of a text, which a full-text index finds it by.

Words are folded: case, width and accents do not matter ("Zoë's" and "zoe" are one term), and
English ones become stems. Where a script puts no spaces between words, pairs of neighbouring
letters are terms; Han and Hangul letters are some by themselves, too, since words of one letter are
usual there. Texts and queries have the same terms: pairs are rarer than letters, and so decide the
order. Emoji are terms. A text of punctuation alone has none.
"""

import functools
import unicodedata

import regex
import snowballstemmer

_WHOLE = r"\p{Han}\p{Hangul}"  # a letter is often a word
_DENSE = _WHOLE + r"\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_FIRST = rf"[[\p{{L}}\p{{N}}]--[{_DENSE}]]"
_WORD = rf"{_FIRST}[[\p{{L}}\p{{M}}\p{{N}}]--[{_DENSE}]]*"
_PIECES = regex.compile(
    # An apostrophe within a word belongs to it: the stemmer takes "'s" off.
    rf"(?V1)(?P<word>{_WORD}(?:'{_WORD})*)"
    rf"|(?P<dense>[{_DENSE}][{_DENSE}\p{{M}}]*)"
    # Flags are pairs of letters; other emoji, hearts and signs are "other symbols".
    r"|(?P<symbol>\p{Regional_Indicator}{2}|\p{So})"
)
_IS_WHOLE = regex.compile(rf"[{_WHOLE}]")
_STEMMED = regex.compile(r"[a-z']{3,}")
_ACCENTS = regex.compile("[\u0300-\u036f]+")  # vowel signs of other scripts stay
# They would become letters of the word before them.
_NOT_LETTERS = str.maketrans({"\u2019": "'", "\u2122": " ", "\u2120": " "})


def terms(text: str) -> list[str]:
    """Terms in the order of the text, without spaces and without punctuation of ASCII."""
    found: list[str] = []
    for piece in _PIECES.finditer(_folded(text)):
        part = piece[0]
        match piece.lastgroup:
            case "word":
                found.append(_stem(part) if _STEMMED.fullmatch(part) else part.replace("'", ""))
            case "dense":
                found += _pairs(part)
            case _:
                found.append(part)
    return found


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    pairs = [run[i : i + 2] for i in range(len(run) - 1)]
    return [letter for letter in run if _IS_WHOLE.match(letter)] + pairs


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # First apart: letters from their accents, what is of full width from what it stands for.
    apart = unicodedata.normalize("NFKD", text.translate(_NOT_LETTERS).casefold())
    # Other marks, such as those of kana, become one with their letters again.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart)).casefold()


@functools.lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    return _stemmer().stemWord(word).replace("'", "")


@functools.cache
def _stemmer():
    return snowballstemmer.stemmer("english")
