"""Chat messages as token ids through the tokenizer's own chat template, turn by turn.

A template is rendered on probe messages once. From that the fixed text between the contents is
learnt, and checked: conversations put together from pieces must equal the template's own
rendering. Each message is then tokenised once, alone, and the agent appends exactly the ids that
training saw. Every piece begins right after a special token or at the start, where tokenizers
start afresh, so the pieces' ids are the ids of the whole.

A conversation here ends with the end-of-turn token of its last reply. Text that a template puts
after it belongs to the next user turn, as it does in a generator's cache. Replies look as they do
in the middle of a conversation: templates that decorate only the last one (Qwen3's empty think
block) would otherwise contradict the cache of every later turn.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from duomem_jax.errors import UserError

Message = dict[str, str]

# Texts of a game repeat; beyond this many the memory is worth more than the time.
_MAX_CACHED = 20_000
_PROBES = ("probe zero", "probe one", "probe two", "probe three", "probe four", "probe five")


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
            f"{folder}: no tokenizer could be loaded ({str(e).splitlines()[0]}); give a folder "
            "with tokenizer.json and tokenizer_config.json"
        ) from e
    if not tokenizer.chat_template:
        raise UserError(f"{folder}: the tokenizer has no chat_template; use a chat model's")
    return tokenizer


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of vocabulary, rules and chat template; equal fingerprints give equal ids."""
    text = tokenizer.backend_tokenizer.to_str() + "\0" + str(tokenizer.chat_template)
    return hashlib.sha256(text.encode()).hexdigest()


class ChatTokens:
    """Token ids of the turns of a chat under one tokenizer.

    Attributes:
        end_id: the end-of-turn token that closes a reply; generation stops at it.

    Raises:
        UserError: the template rewrites earlier turns, so turns cannot be appended.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        self._cached: dict[str, list[int]] = {}
        self._system_starts: dict[str, str] = {"": ""}
        u0, a0, u1, a1, u2, _ = _PROBES
        text = self._render([_user(u0), _assistant(a0), _user(u1), _assistant(a1), _user(u2)])
        start, self._to_reply, between, *again = self._cut(text, (u0, a0, u1, a1, u2))
        self._system_starts[""] = start
        self._end, self._to_user, self.end_id = self._split_end(between)
        self._reply_prefix = self._encode([self._to_reply])[0]
        if again[:2] != [self._to_reply, between]:
            raise self._not_local()
        self._check()

    def first(self, content: str, system: str = "") -> list[int]:
        """Ids from the start of a conversation up to where its first reply begins."""
        return self._ids([self._first_text(content, system)])[0]

    def next(self, content: str) -> list[int]:
        """Ids to append after a reply's end-of-turn token for the next user turn."""
        return self._ids([self._next_text(content)])[0]

    def reply(self, content: str) -> list[int]:
        """Ids of a reply, its end-of-turn token last."""
        text = self._reply_text(content)
        return self._without_header(text, self._ids([text])[0])

    def conversations(self, chats: Sequence[list[Message]]) -> list[tuple[list[int], list[int]]]:
        """(token ids, loss mask) of each conversation; the mask is 1 on reply and end of turn.

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
            result.append((tokens, mask))
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
                texts.append(self._first_text(content, system))
            else:
                texts.append((self._next_text, self._reply_text)[k % 2](content))
        return texts

    def _first_text(self, content: str, system: str) -> str:
        if system not in self._system_starts:
            messages = [{"role": "system", "content": system.strip()}, _user(_PROBES[0])]
            self._system_starts[system] = self._cut(self._render(messages), _PROBES[:1])[0]
        return self._system_starts[system] + content.strip() + self._to_reply

    def _next_text(self, content: str) -> str:
        return self._to_user + content.strip() + self._to_reply

    def _reply_text(self, content: str) -> str:
        # With its header, so that header and content are tokenised together as in the whole.
        return self._to_reply + content.strip() + self._end

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, tokenised once; the lists are the caller's own."""
        if len(self._cached) > _MAX_CACHED:
            self._cached.clear()
        new = list(dict.fromkeys(t for t in texts if t not in self._cached))
        if new:
            self._cached.update(zip(new, self._encode(new), strict=True))
        return [list(self._cached[t]) for t in texts]

    def _without_header(self, text: str, ids: list[int]) -> list[int]:
        n = len(self._reply_prefix)
        if ids[:n] != self._reply_prefix:
            raise UserError(
                f"tokenizer {self._name}: the reply header and {text[:60]!r} share a token, so a "
                "loss mask cannot part them; use another tokenizer or chat template"
            )
        if ids.index(self.end_id, n) != len(ids) - 1:
            raise UserError(
                f"tokenizer {self._name}: a reply holds the end-of-turn token in its text "
                f"({text[:60]!r}); remove it from the episode"
            )
        return ids[n:]

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self._tokenizer(texts, add_special_tokens=False)["input_ids"]

    def _render(self, messages: list[Message], *, reply_next: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=reply_next
            )
        except TemplateError as e:
            raise UserError(
                f"tokenizer {self._name}: its chat template refuses the messages ({e}); leave "
                "the system message away or use another tokenizer"
            ) from e

    def _cut(self, text: str, contents: Sequence[str]) -> list[str]:
        """The fixed texts around `contents` in a rendering."""
        parts = []
        for content in contents:
            before, found, text = text.partition(content)
            if not found:
                raise self._not_local()
            parts.append(before)
        return [*parts, text]

    def _split_end(self, between: str) -> tuple[str, str, int]:
        """(end of turn, rest, its id) of the text between a reply and the next user content."""
        ids = self._encode([between])[0]
        special = {i for i, t in self._tokenizer.added_tokens_decoder.items() if t.special}
        end_id = next((i for i in ids if i in special), None)
        if end_id is None:
            raise self._not_local()
        token = self._tokenizer.convert_ids_to_tokens(end_id)
        before, _, rest = between.partition(token)
        return before + token, rest, end_id

    def _check(self) -> None:
        """Prove on a probe that pieces put together are the template's own rendering."""
        u0, a0, u1, a1, u2, _ = (f"Thought: {p},\n 7 {p}." for p in _PROBES)
        chat = [_user(u0), _assistant(a0), _user(u1), _assistant(a1)]
        for k in (1, 3):
            whole = self._render(chat[:k], reply_next=True)
            parts = self._texts(chat[:k])
            texts = [t[len(self._to_reply) :] if i % 2 else t for i, t in enumerate(parts)]
            ids, _ = self.conversations([chat[:k]])[0]
            if "".join(texts) != whole or ids != self._encode([whole])[0]:
                raise self._not_local()
        whole_ids = self._encode([self._render([*chat, _user(u2)])])[0]
        ids, _ = self.conversations([chat])[0]
        if whole_ids[: len(ids)] != ids:
            raise self._not_local()

    def _not_local(self) -> UserError:
        return UserError(
            f"tokenizer {self._name}: its chat template does not render turn by turn, so turns "
            "cannot be appended to a conversation; use a tokenizer with a ChatML-like template"
        )


@functools.lru_cache(maxsize=4)
def chat_tokens(tokenizer: Any) -> ChatTokens:
    """The `ChatTokens` of a tokenizer, made on first use."""
    return ChatTokens(tokenizer)


def encode_chat(tokenizer: Any, messages: list[Message]) -> tuple[list[int], list[int]]:
    """(token ids, loss mask) of one conversation; see `ChatTokens.conversations`."""
    return chat_tokens(tokenizer).conversations([messages])[0]


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
