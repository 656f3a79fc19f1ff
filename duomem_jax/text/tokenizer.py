"""Chat messages as token ids, turn by turn, with the loss mask over the replies.

Each message is tokenised once, alone, and an agent appends exactly the ids that training saw.
Every piece begins at the start or right after a special token, where tokenizers start afresh, so
the ids of the pieces are the ids of the whole. A conversation ends with the end-of-turn token of
its last reply; text that a template puts after it belongs to the next user turn.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.text.encoded import Example
from duomem_jax.text.template import Message, TurnTemplate

# Texts of a game repeat; beyond this many the memory is worth more than the time.
_MAX_CACHED = 20_000


def load_tokenizer(folder: str | os.PathLike) -> Any:
    """Tokenizer of a Hugging Face folder or hub name.

    Raises:
        UserError: it cannot be loaded or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as e:
        raise UserError(
            f"{folder}: no tokenizer could be loaded ({first_line(e)}); give a folder "
            "with tokenizer.json and tokenizer_config.json"
        ) from e
    if not tokenizer.chat_template:
        raise UserError(f"{folder}: the tokenizer has no chat_template; use a chat model's")
    return tokenizer


def vocabulary_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of vocabulary and rules; equal ones spell every text with the same ids."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of vocabulary, rules and chat template; equal fingerprints give equal ids."""
    text = tokenizer.backend_tokenizer.to_str() + "\0" + str(tokenizer.chat_template)
    return hashlib.sha256(text.encode()).hexdigest()


class ChatTokens:
    """Token ids of the turns of a chat under one tokenizer.

    Attributes:
        end_id: the end-of-turn token that closes a reply; generation stops at it.

    Raises:
        UserError: the template cannot be used turn by turn; see `TurnTemplate`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = TurnTemplate(tokenizer)
        self.end_id = self._template.end_id
        self._cached: dict[str, list[int]] = {}
        self._header = self._encode([self._template.reply_header])[0]
        self._check()

    def first(self, content: str, system: str = "") -> list[int]:
        """Ids from the start of a conversation up to where its first reply begins."""
        return self._ids([self._template.first(content, system)])[0]

    def next(self, content: str) -> list[int]:
        """Ids to append after a reply's end-of-turn token for the next user turn."""
        return self._ids([self._template.next(content)])[0]

    def reply(self, content: str) -> list[int]:
        """Ids of a reply, its end-of-turn token last."""
        text = self._headed_reply(content)
        return self._without_header(text, self._ids([text])[0])

    def conversations(self, chats: Sequence[list[Message]]) -> list[Example]:
        """Token ids and loss mask of each conversation; the mask is 1 on reply and end of turn.

        New pieces of all conversations are tokenised in one batch.

        Raises:
            UserError: a reply runs into the tokens of its header, or holds an end-of-turn token.
            ValueError: roles are not [system] then user, assistant, ... by turns.
        """
        chat_texts = [self._texts(chat) for chat in chats]
        pieces = iter(self._ids([text for texts in chat_texts for text in texts]))
        result = []
        for texts in chat_texts:
            tokens: list[int] = []
            mask: list[int] = []
            for k, text in enumerate(texts):
                ids = next(pieces)
                ids = self._without_header(text, ids) if k % 2 else ids
                tokens += ids
                mask += [k % 2] * len(ids)
            result.append(Example(tokens, mask))
        return result

    def _texts(self, chat: list[Message]) -> list[str]:
        system = chat[0]["content"] if chat[0]["role"] == "system" else ""
        turns = chat[1:] if chat[0]["role"] == "system" else chat
        texts = []
        for k, message in enumerate(turns):
            role, content = ("user", "assistant")[k % 2], message["content"]
            if message["role"] != role:
                raise ValueError(f"expected a message of the {role}, not {message['role']}")
            if k == 0:
                texts.append(self._template.first(content, system))
            else:
                texts.append((self._template.next, self._headed_reply)[k % 2](content))
        return texts

    def _headed_reply(self, content: str) -> str:
        # With its header, so that header and content are tokenised together as in the whole.
        return self._template.reply_header + self._template.reply(content)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, tokenised once; the lists are the caller's own."""
        if len(self._cached) > _MAX_CACHED:
            self._cached.clear()
        new = list(dict.fromkeys(t for t in texts if t not in self._cached))
        if new:
            self._cached.update(zip(new, self._encode(new), strict=True))
        return [list(self._cached[t]) for t in texts]

    def _without_header(self, text: str, ids: list[int]) -> list[int]:
        n = len(self._header)
        if ids[:n] != self._header:
            raise UserError(
                f"tokenizer {self._template.name}: the reply header and {text[:60]!r} share a "
                "token, so a loss mask cannot part them; use another tokenizer or chat template"
            )
        if ids.index(self.end_id, n) != len(ids) - 1:
            raise UserError(
                f"tokenizer {self._template.name}: a reply holds the end-of-turn token in its "
                f"text ({text[:60]!r}); remove it from the episode"
            )
        return ids[n:]

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self._tokenizer(texts, add_special_tokens=False)["input_ids"]

    def _check(self) -> None:
        """Prove on a probe that the ids of the pieces are the ids of the whole text."""
        first, reply, further = (f"Thought: probe {i},\n 7 probe." for i in range(3))
        template = self._template
        whole = template.first(first) + template.reply(reply) + template.next(further)
        if self._encode([whole])[0] != self.first(first) + self.reply(reply) + self.next(further):
            raise UserError(
                f"tokenizer {template.name}: it joins tokens across turns, so turns cannot be "
                "appended to a conversation; use a tokenizer with a ChatML-like template"
            )


@functools.lru_cache(maxsize=4)
def chat_tokens(tokenizer: Any) -> ChatTokens:
    """The `ChatTokens` of a tokenizer, made on first use."""
    return ChatTokens(tokenizer)


def encode_chat(tokenizer: Any, messages: list[Message]) -> Example:
    """Token ids and loss mask of one conversation; see `ChatTokens.conversations`."""
    return chat_tokens(tokenizer).conversations([messages])[0]
