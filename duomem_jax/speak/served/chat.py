"""Chat completions."""

from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.records.chat import Chat, pictures_of
from duomem_jax.speak.protocol import Reply, Sampling
from duomem_jax.speak.served.bill import token_counts
from duomem_jax.speak.served.http import MalformedError
from duomem_jax.speak.served.model import Request


def chat_request(model: str, chat: Chat, how: Sampling) -> Request[Reply]:
    """The request for the next reply in a conversation.

    Args:
        model: as the server knows it.
        chat: up to a user message.
        how: its seed is omitted at temperature 0, so that equal conversations are paid once. Its
            schema is asked for; a server that does not take it is asked without.

    Raises:
        UserError: the chat shows a picture.
    """
    shown = [picture for message in chat for picture in pictures_of(message)]
    if shown:
        raise UserError(
            f"openai:{model}: a chat shows {shown[0]['path']}, and only models that run here are "
            "shown pictures; give a folder or hub id of one that sees"
        )
    body: dict[str, Any] = {
        "model": model,
        "messages": list(chat),
        "max_tokens": how.max_new,
        "temperature": how.temperature,
    }
    if how.temperature > 0:
        body["seed"] = how.seed
    if how.schema is not None:
        named = {"name": "reply", "schema": how.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return Request("chat/completions", body, read_reply)


def read_reply(body: Any) -> Reply:
    """Take a chat completion apart.

    Raises:
        MalformedError: it is none.
    """
    try:
        choice = body["choices"][0]
        # `content` is null where the server parts off reasoning and nothing else was written.
        content, reason = choice["message"].get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise MalformedError(f"no choices[0].message in {str(body)[:200]!r}") from None
    if isinstance(content, list):
        content = _joined(content)
    if not (content is None or isinstance(content, str)):
        raise MalformedError(f"content is of type {type(content).__name__}, not text")
    # JSON can hold halves of characters, which no file and no next request can.
    text = (content or "").encode(errors="replace").decode()
    prompt, new = token_counts(body)
    return Reply(_without_reasoning(text), reason == "length", prompt or 0, new or 0)


def _joined(parts: list[Any]) -> str:
    """Content in parts, of which those that are not text (reasoning, say) are left out."""
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _without_reasoning(text: str) -> str:
    """Where the server does not part them, reasoning stands before the reply, or is all of it."""
    _, closed, after = text.rpartition("</think>")
    # Cut off while it was still reasoning: there is no reply.
    if not closed and text.lstrip().startswith("<think>"):
        return ""
    return after.strip()
