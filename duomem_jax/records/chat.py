"""What is said in a chat."""

from typing import Literal, NotRequired, TypedDict

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One message: a plain dictionary, as chat templates and servers read it.

    Attributes:
        weight: of a reply; 0: it is read and not learnt. The name is that of OpenAI's format.
    """

    role: Role
    content: str
    weight: NotRequired[Literal[0, 1]]


Chat = list[Message]
"""Messages in order: at most one of the system, then user and assistant by turns."""


def message_of(role: Role, content: str, *, learnt: bool) -> Message:
    """A message, and whether a model that learns from its chat learns it."""
    message: Message = {"role": role, "content": content}
    # Not named where it says nothing: the same chat then reads the same, whoever wrote it.
    return message if learnt else message | {"weight": 0}


def system(content: str) -> Message:
    """What the model is told beforehand."""
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    """What the model reads."""
    return {"role": "user", "content": content}


def assistant(content: str, *, learnt: bool = True) -> Message:
    """What the model wrote, and whether another model is to learn it."""
    return message_of("assistant", content, learnt=learnt)


def is_learnt(message: Message) -> bool:
    """Whether a model that learns from the chat learns this reply."""
    return message.get("weight", 1) > 0
