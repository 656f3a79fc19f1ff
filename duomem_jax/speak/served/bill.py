"""What answers have cost: requests, tokens, dollars."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duomem_jax.speak.served.server import Server

# A log's counts are one flat map; this marks those that count answers by model.
_BY = "by "
_TOKENS = ("prompt_tokens", "completion_tokens")


def token_counts(body: Any) -> tuple[int | None, int | None]:
    """(prompt, completion) tokens that an answer tells; None for what it does not."""
    # Servers may omit any of this, or put something else there. A bad count must not lose an answer
    # that was paid, nor exceed the 64 bits that SQLite sums in.
    usage = body.get("usage") if isinstance(body, dict) else None
    told = [usage.get(name) if isinstance(usage, dict) else None for name in _TOKENS]
    prompt, completion = (n if isinstance(n, int) and 0 <= n < 2**53 else None for n in told)
    return prompt, completion


def answer_counts(body: Any, attempts: int) -> dict[str, int]:
    """What one answer adds to the bill; counts of many answers are summed by name."""
    told = token_counts(body)
    counts = {"answers": 1, "retries": attempts - 1, "without_usage": int(told == (None, None))}
    counts |= {name: n or 0 for name, n in zip(_TOKENS, told, strict=True)}
    facts = body if isinstance(body, dict) else {}
    # Servers change the model behind a name: the bill tells which one answered.
    by = [facts.get(name) for name in ("model", "system_fingerprint")]
    if told_by := " ".join(part for part in by if isinstance(part, str)):
        counts[_BY + told_by] = 1
    return counts


@dataclass(frozen=True)
class Bill:
    """Totals over all answers of a stage, earlier runs of it included.

    Attributes:
        answers: requests that were answered well.
        retries: requests beyond the first for these answers.
        without_usage: answers whose tokens the server did not tell, so that cost is missing.
        answered_by: answers of each model, as the server calls it and its own version.
        dollars: cost of the tokens; None where no price is known.
    """

    answers: int
    retries: int
    prompt_tokens: int
    completion_tokens: int
    without_usage: int
    answered_by: dict[str, int]
    dollars: float | None

    @classmethod
    def of(cls, counts: Mapping[str, int], server: Server) -> "Bill":
        """The bill of summed `answer_counts` at a server's prices."""
        names = ("answers", "retries", *_TOKENS, "without_usage")
        totals = {name: counts.get(name, 0) for name in names}
        price = (
            totals["prompt_tokens"] * server.prompt_price
            + totals["completion_tokens"] * server.completion_price
        )
        return cls(
            **totals,
            answered_by={n.removeprefix(_BY): c for n, c in counts.items() if n.startswith(_BY)},
            dollars=price / 1e6 if server.prompt_price or server.completion_price else None,
        )

    def __str__(self) -> str:
        """One line for the user."""
        cost = "" if self.dollars is None else f", {self.dollars:,.2f} dollars"
        unknown = f"; {self.without_usage:,} answers without a count" if self.without_usage else ""
        return (
            f"{self.answers:,} answers ({self.retries:,} retries), {self.prompt_tokens:,} prompt "
            f"and {self.completion_tokens:,} completion tokens{cost}{unknown}"
        )
