"""Names of days and months, in English whatever language the process speaks."""

import datetime

# Not those of `calendar` or `strftime`, which follow the locale.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)


def written(day: datetime.date) -> str:
    """A day as people write it: "8 May 2023"."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
