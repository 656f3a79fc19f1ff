"""What is said in a chat."""

from typing import Literal, TypedDict

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One message: a plain dictionary, as chat templates and servers read it."""

    role: Role
    content: str


Chat = list[Message]
"""Messages in order: at most one of the system, then user and assistant by turns."""


def system(content: str) -> Message:
    """What the model is told beforehand."""
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    """What the model reads."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """What the model wrote."""
    return {"role": "assistant", "content": content}
