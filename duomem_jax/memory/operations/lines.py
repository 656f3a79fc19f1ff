"""How data stands in a prompt: one line each, which cannot leave its place."""

from collections.abc import Iterable
from datetime import datetime

from duomem_jax.base.days import DAYS, written

NOTHING = "(nothing)"

# A prompt marks where data begins and ends with tags; data has no such brackets.
_BRACKETS = str.maketrans({"<": "\u2039", ">": "\u203a"})


def line(text: str) -> str:
    """Some text of others as one line that holds no tag."""
    return " ".join(text.split()).translate(_BRACKETS)


def block(lines: Iterable[str]) -> str:
    """Lines under each other, or a word for none."""
    return "\n".join(lines) or NOTHING


def day(at: str) -> str:
    """The day of a time in ISO 8601, as people write it: `Monday, 8 May 2023`."""
    moment = datetime.fromisoformat(at)
    return f"{DAYS[moment.weekday()]}, {written(moment)}"


def dated(at: str, text: str) -> str:
    """Some text of others as one line, behind the day of what it tells."""
    return f"[{day(at)}] {line(text)}"


def spaced(text: str) -> str:
    """A text as replies hold it: after a space, which readers take off.

    Within a text a name follows a space, and that is how most tokenizers know it: " Caroline" is
    one token, and "Caroline" behind a quotation mark two. SmolLM2-135M, taught without the space,
    began a fifth of its notes with "Car Caroline".
    """
    return f" {text}"
