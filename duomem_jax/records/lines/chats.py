"""Chats as servers and trainers take them, one a line.

{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}

The content of a user may be parts, of which some are pictures (`parts`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from duomem_jax.base.errors import UserError
from duomem_jax.records.chat import Chat, Message, Role, message_of
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.lines.parts import read_content, written_content
from duomem_jax.records.lines.read import read_lines

OPERATION = "chat"  # what an imported chat shows


@dataclass(frozen=True)
class MessageLine:
    """One message; see `chat.Message`."""

    role: Role
    content: str | list[Any]
    weight: Literal[0, 1] = 1


@dataclass(frozen=True)
class ChatLine:
    """One chat, whose replies are to be learnt unless their weight is 0."""

    messages: tuple[MessageLine, ...]


def read_chat_lines(path: Path) -> list[Demonstration]:
    """Chats of a file.

    Raises:
        UserError: a line is no chat, or roles follow each other in another way.
    """
    found = []
    for number, (where, line) in enumerate(read_lines(path, ChatLine)):
        messages = [_message(message, path.parent, where) for message in line.messages]
        _check(messages, where)
        found.append(Demonstration(f"{number:08}", OPERATION, f"{number:08}", messages))
    return found


def _message(line: MessageLine, folder: Path, where: str) -> Message:
    content = line.content
    if not isinstance(content, str):
        content = read_content(content, line.role, folder, where)
    return message_of(line.role, content, learnt=line.weight > 0)


def _check(messages: Chat, where: str) -> None:
    roles = [message["role"] for message in messages]
    talk = roles[1:] if roles[:1] == ["system"] else roles
    usual = ["user", "assistant"] * (len(talk) // 2)
    if not talk or talk != usual:
        raise UserError(
            f"{where}: the roles are {', '.join(roles) or 'missing'}; give user and assistant by "
            "turns, the last one assistant, with at most one system message before them"
        )


def chat_line(messages: Chat) -> dict:
    """A chat as a line."""
    return {
        "messages": [
            {**message, "content": written_content(message["content"])} for message in messages
        ]
    }
