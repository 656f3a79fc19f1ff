"""How a word stands in an English sentence."""

import functools

_NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
# Sounds that their first letter does not tell.
_AN = ("hour", "honest", "xperia", "e-")
_A = ("uni", "use", "uku", "euro", "one")


@functools.cache
def article(noun: str) -> str:
    """A noun with its indefinite article, as by sound."""
    low = noun.lower()
    vowel = low.startswith(_AN) or (low[0] in "aeiou8" and not low.startswith(_A))
    return f"{'an' if vowel else 'a'} {noun}"


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def number(n: int) -> str:
    """In words up to twelve."""
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)


def ordinal(n: int) -> str:
    """With its ending: 1st, 2nd, 11th."""
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def forms(name: str, value: str) -> dict[str, str]:
    """A value as templates have it; for `v`: {v} {V} {a_v} {A_v}."""
    with_article = article(value)
    return {
        name: value,
        capital(name): capital(value),
        f"a_{name}": with_article,
        f"A_{name}": capital(with_article),
    }
