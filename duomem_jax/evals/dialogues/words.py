"""The words of an answer, as LoCoMo's code and as ROUGE take them."""

import functools
import re
import string

_ARTICLES = re.compile(r"\b(a|an|the|and)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SHORT = 3  # letters of the longest word that ROUGE does not stem


def normalized(text: str) -> str:
    """Lower case without punctuation, articles and "and", with single spaces.

    Punctuation goes without a trace: "well-known" becomes one word.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def stems(text: str) -> list[str]:
    """Porter stems of the normalized words."""
    return [stem(word) for word in normalized(text).split()]


def rouge_words(text: str) -> list[str]:
    """Words of letters and digits, the longer ones as stems.

    As in Google's `rouge-score`, which knows ASCII alone: other letters count here.
    """
    words = re.findall(r"[^\W_]+", text.lower())
    return [stem(word) if len(word) > _SHORT else word for word in words]


@functools.lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Porter stem with the additions of NLTK, which LoCoMo's scores have."""
    return _porter().stem(word)


@functools.cache
def _porter():
    # Importing it takes a second or two, and whoever answers questions has no need of it.
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
