"""Points of time, as records hold them: ISO 8601 in UTC, to the second."""

from datetime import UTC, datetime

from duomem_jax.base.errors import UserError

_FORM = "2023-05-08T13:56:00Z"


def now() -> datetime:
    """The time of this machine's clock, with its zone."""
    return datetime.now(UTC)


def utc(time: datetime | str, field: str = "at") -> str:
    """A time in UTC, such as "2023-05-08T13:56:00Z"; these sort as they follow each other.

    A time without a zone is refused: what it means would depend on the machine.

    Args:
        time: with a zone; a text is ISO 8601. Parts of a second are dropped.
        field: what it is called where it is refused.

    Raises:
        UserError: no time, or one without a zone.
    """
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        if moment.utcoffset() is None:
            raise UserError(
                f"{field} is {str(time)!r}, which has no time zone; give one, such as {_FORM} or "
                "2023-05-08T15:56:00+02:00"
            )
        moment = moment.astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise UserError(f"{field} is {time!r}, not a time; give one such as {_FORM}") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(len(_FORM), "0")
