"""What is said in a chat."""

from collections.abc import Iterable
from typing import Literal, NotRequired, TypeAlias, TypedDict

Role = Literal["system", "user", "assistant"]


class TextPart(TypedDict):
    """Words of a message that also holds pictures; the names are those of chat templates."""

    type: Literal["text"]
    text: str


class PicturePart(TypedDict):
    """A picture in a message.

    Attributes:
        path: of its file.
        sha256: of what the file held when the chat was stored, in hexadecimal digits.
    """

    type: Literal["image"]
    path: str
    sha256: NotRequired[str]


Part: TypeAlias = TextPart | PicturePart
Content: TypeAlias = str | list[Part]
"""Words, or a list with at least one picture and no two texts without one between them."""


class Message(TypedDict):
    """One message: a plain dictionary, as chat templates and servers read it.

    Attributes:
        content: of a user; all others write words alone.
        weight: of a reply; 0: it is read and not learnt. The name is that of OpenAI's format.
    """

    role: Role
    content: Content
    weight: NotRequired[Literal[0, 1]]


Chat = list[Message]
"""Messages in order: at most one of the system, then user and assistant by turns."""


def message_of(role: Role, content: Content, *, learnt: bool) -> Message:
    """A message, and whether a model that learns from its chat learns it."""
    message: Message = {"role": role, "content": content}
    # Not named where it says nothing: the same chat then reads the same, whoever wrote it.
    return message if learnt else message | {"weight": 0}


def system(content: str) -> Message:
    """What the model is told beforehand."""
    return {"role": "system", "content": content}


def user(content: Content) -> Message:
    """What the model reads, or sees."""
    return {"role": "user", "content": content}


def assistant(content: str, *, learnt: bool = True) -> Message:
    """What the model wrote, and whether another model is to learn it."""
    return message_of("assistant", content, learnt=learnt)


def is_learnt(message: Message) -> bool:
    """Whether a model that learns from the chat learns this reply."""
    return message.get("weight", 1) > 0


def text(words: str) -> TextPart:
    """Words beside a picture."""
    return {"type": "text", "text": words}


def picture(path: str, sha256: str = "") -> PicturePart:
    """The picture in a file; its content is known by its hash, or ""."""
    part: PicturePart = {"type": "image", "path": path}
    return part | {"sha256": sha256} if sha256 else part


def content_of(parts: Iterable[Part]) -> Content:
    """Parts as a message has them: neighbouring words are one part, words alone are a text."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if part["type"] == "text" and last is not None and last["type"] == "text":
            joined[-1] = text(last["text"] + part["text"])
        elif part["type"] == "image" or part["text"]:
            joined.append(part)
    if any(part["type"] == "image" for part in joined):
        return joined
    return "".join(part["text"] for part in joined if part["type"] == "text")


def text_of(message: Message) -> str:
    """The words of a message, without its pictures."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def pictures_of(message: Message) -> list[PicturePart]:
    """The pictures of a message, in their order."""
    content = message["content"]
    return [] if isinstance(content, str) else [p for p in content if p["type"] == "image"]
