"""What a reply cost, and how it ended, as rows of results and answers say it."""

from duomem_jax.records.results import Usage
from duomem_jax.speak.protocol import Reply


def usage_of(reply: Reply | None, seconds: float) -> Usage:
    """What a reply cost; where a chat did not fit the model, its time alone.

    Args:
        reply: of the model; None: the chat did not fit.
        seconds: the reply's share of the time.
    """
    tokens = (reply.prompt_tokens, reply.new_tokens) if reply else (0, 0)
    return Usage(*tokens, seconds)


def ended(reply: Reply | None) -> str:
    """How a reply ended: "end", "cut" by its length, or "context" where the chat did not fit."""
    if reply is None:
        return "context"
    return "cut" if reply.cut else "end"
