"""Reads relative dates in what people say: written without the code that makes them."""

import datetime
import re

MONTHS = [datetime.date(2000, m, 1).strftime("%B") for m in range(1, 13)]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ONE_TO_SIX = ["one", "two", "three", "four", "five", "six"]
NUMBERS = ["zero", *ONE_TO_SIX, "seven", "eight", "nine", "ten", "eleven", "twelve"]
MONTH = "|".join(MONTHS)


def written(day):
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def months(year, month):
    """A month that may be 0 or 13."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return f"{MONTHS[month - 1]} {year}"


def meant(text, today):
    """All dates that a text names, as keys write them."""
    low, found = text.lower(), set()

    def ago(days):
        found.add(written(today - datetime.timedelta(days=days)))

    if "the day before yesterday" in low:
        ago(2)
    if "yesterday" in low.replace("day before yesterday", "").replace("feels like yesterday", ""):
        ago(1)
    for word in re.findall(r"(\w+) days ago", low):
        ago(NUMBERS.index(word))
    for word in re.findall(r"exactly (\w+) weeks ago", low):
        ago(7 * NUMBERS.index(word))
    for name in re.findall(rf"(?:last|on) ({'|'.join(DAYS)})\b", text, re.IGNORECASE):
        ago((today.weekday() - DAYS.index(name.capitalize())) % 7 or 7)
    if "last week" in low:
        found.add(f"The week before {written(today)}")
    if "last month" in low:
        found.add(months(today.year, today.month - 1))
    if "next month" in low:
        found.add(months(today.year, today.month + 1))
    if "earlier this month" in low:
        found.add(months(today.year, today.month))
    for day in re.findall(r"on the (\d+)(?:st|nd|rd|th)", low):
        found.add(f"{day} {months(today.year, today.month)}")
    for month, day, year in re.findall(rf"({MONTH}) (\d+)(?:st|nd|rd|th)(?:, (20\d\d))?", text):
        found.add(f"{day} {month} {year or today.year}")
    for month, year in re.findall(rf"in ({MONTH})(?: (20\d\d))?", text, re.IGNORECASE):
        found.add(f"{month} {year or today.year}")
    found |= set(re.findall(r"in (20\d\d)\b", low))
    # What is said again long after is dated in full.
    week = re.findall(rf"the week before (\d+ (?:{MONTH}) 20\d\d)", text, re.IGNORECASE)
    return found | {f"The week before {day}" for day in week}
