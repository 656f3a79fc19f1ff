"""Which memories a question may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from duomem_jax.base.times import utc


@dataclass(frozen=True)
class Where:
    """A part of a store, at a time.

    Attributes:
        at: only what had been said by then, and as it was then; None: as it is now.
        who: owners; None: all.
        speaker: whom memories are about; None: all.
    """

    at: str | None = None
    who: tuple[str, ...] | None = None
    speaker: str | None = None

    def sql(self) -> tuple[str, list[str]]:
        """A condition on `versions v` and `memories m`, and its values."""
        conditions, values = ["v.live"], []
        if self.at is not None:
            # Who knew what when is told by the event times: one version ends where the next begins.
            conditions = [
                "v.operation <> 'delete' AND v.happened <= ? AND (v.until IS NULL OR v.until > ?)"
            ]
            values = [self.at, self.at]
        if self.who is not None:
            conditions.append(f"m.owner IN ({', '.join('?' * len(self.who))})")
            values += self.who
        if self.speaker is not None:
            conditions.append("m.speaker = ?")
            values.append(self.speaker)
        return " AND ".join(conditions), values


def where(at: datetime | str | None, who: str | Sequence[str] | None, speaker: str | None) -> Where:
    """A `Where` of what a caller gives.

    Raises:
        UserError: `at` is no time, or has no zone.
    """
    owners = (who,) if isinstance(who, str) else None if who is None else tuple(who)
    return Where(None if at is None else utc(at), owners, speaker)
