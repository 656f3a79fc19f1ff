"""How data stands in a prompt: one line each, which cannot leave its place."""

from collections.abc import Iterable
from datetime import datetime

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
    # Not `%A`, `%B`: those depend on the locale of the process.
    return f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def dated(at: str, text: str) -> str:
    """Some text of others as one line, behind the day of what it tells."""
    return f"[{day(at)}] {line(text)}"


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
