"""Days, and how people and keys name them."""

import datetime
from dataclasses import dataclass

from duomem_jax.base import days
from duomem_jax.base.days import DAYS, MONTHS
from duomem_jax.base.draw import Draw
from duomem_jax.worlds.dialogues.generate.wording import number, ordinal

DAY, WEEK, MONTH, YEAR = "day", "week", "month", "year"
Day = datetime.date
_ONE = datetime.timedelta(days=1)


@dataclass(frozen=True)
class When:
    """A day as it was told.

    Attributes:
        day: the true day.
        grain: how closely it was told: `DAY`, `WEEK`, `MONTH` or `YEAR`.
        said: the words: "last Friday".
        key: what a key calls it: "7 May 2023", "The week before 9 June 2023", "May 2023", "2023".
    """

    day: Day
    grain: str
    said: str
    key: str

    @property
    def on(self) -> str:
        """As part of a sentence: "on 7 May 2023"."""
        if self.grain == WEEK:
            return f"in {self.key[0].lower()}{self.key[1:]}"
        return f"{'on' if self.grain == DAY else 'in'} {self.key}"


def written(day: Day, grain: str = DAY) -> str:
    """As keys write it."""
    month = f"{MONTHS[day.month - 1]} {day.year}"
    return {DAY: days.written(day), MONTH: month, YEAR: str(day.year)}[grain]


def month_start(day: Day) -> Day:
    """The first of its month."""
    return day.replace(day=1)


def month_end(day: Day) -> Day:
    """The last of its month."""
    return month_start(month_start(day) + 31 * _ONE) - _ONE


def months_later(day: Day, n: int) -> Day:
    """The first of the month that is n months later."""
    months = day.year * 12 + day.month - 1 + n
    return Day(months // 12, months % 12 + 1, 1)


def months_between(early: Day, late: Day) -> int:
    """How many months lie between, by the calendar alone."""
    return (late.year - early.year) * 12 + late.month - early.month


def told(draw: Draw, day: Day, today: Day) -> When:
    """A past day in the words of somebody who speaks today."""
    grain, said = draw.pick(_past(day, today))
    return When(day, grain, said, _week(today) if grain == WEEK else written(day, grain))


def told_by_day(draw: Draw, day: Day, today: Day) -> When:
    """As `told`, to the day."""
    said = draw.pick([said for grain, said in _past(day, today) if grain == DAY])
    return When(day, DAY, said, written(day))


def told_year(day: Day, draw: Draw) -> When:
    """A day of which only the year is told."""
    said = draw.pick([f"in {day.year}", f"back in {day.year}"])
    return When(day, YEAR, said, str(day.year))


def told_again(when: When, today: Day) -> str:
    """What was told before, in words that hold on any other day."""
    day = when.day
    year = "" if day.year == today.year else f" {day.year}"
    if when.grain == DAY:
        return f"on {MONTHS[day.month - 1]} {ordinal(day.day)}{',' if year else ''}{year}"
    if when.grain == MONTH:
        return f"in {MONTHS[day.month - 1]}{year}"
    return when.on


def planned(draw: Draw, today: Day, after: Day) -> When:
    """A time to come, later than `after`: a month, or a day of one."""
    first = max(months_between(today, after) + 1, 1)
    start = months_later(today, draw.between(first, first + 2))
    year = "" if start.year == today.year else f" {start.year}"
    if draw.chance(0.3):
        day = start + draw.below(28) * _ONE
        said = f"on {MONTHS[day.month - 1]} {ordinal(day.day)}{',' if year else ''}{year}"
        return When(day, DAY, said, written(day))
    said = f"in {MONTHS[start.month - 1]}{year}"
    if months_between(today, start) == 1 and draw.chance(0.6):
        said = "next month"
    return When(start, MONTH, said, written(start, MONTH))


def _week(today: Day) -> str:
    return f"The week before {written(today)}"


def _past(day: Day, today: Day) -> list[tuple[str, str]]:
    """Ways to name a day, as (grain, words)."""
    ago, weekday = (today - day).days, DAYS[day.weekday()]
    month = MONTHS[day.month - 1]
    exact = f"on {month} {ordinal(day.day)}"
    if day.year != today.year:
        month, exact = f"{month} {day.year}", f"{exact}, {day.year}"
    if ago == 1:
        return [(DAY, "yesterday")]
    ways = []
    if ago <= 6:
        ways += [(DAY, f"last {weekday}"), (DAY, f"on {weekday}")]
    if ago == 2:
        ways += [(DAY, "the day before yesterday")]
    if ago <= 12:
        ways += [(DAY, f"{number(ago)} days ago")]
    if ago in (14, 21):
        ways += [(DAY, f"exactly {number(ago // 7)} weeks ago"), (DAY, exact)]
    if ago >= 3 and 1 <= (today - today.weekday() * _ONE - day).days <= 7:
        ways += [(WEEK, "last week")]
    if day.year == today.year and month_start(day) != month_start(today) and ago > 6:
        ways += [(MONTH, f"in {month}"), (DAY, exact)]
    if months_between(day, today) == 1 and ago > 12:
        ways += [(MONTH, "last month")]
    if ago > 12 and month_start(day) == month_start(today):
        ways += [(DAY, f"on the {ordinal(day.day)}"), (MONTH, "earlier this month")]
    if day.year != today.year and ago > 12:
        ways += [(DAY, exact), (MONTH, f"in {month}")]
    return ways
