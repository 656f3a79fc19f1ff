"""Chat messages as token ids, turn by turn, with the loss mask over the replies.

Each message is tokenised once, alone, and an agent appends exactly the ids that training saw.
Every piece begins at the start or right after a special token, where tokenizers start afresh, so
the ids of the pieces are the ids of the whole. A conversation ends with the end-of-turn token of
its last reply; text that a template puts after it belongs to the next user turn.
"""

import functools
import hashlib
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.io import read_json
from duomem_jax.records.chat import Chat, PicturePart, is_learnt, pictures_of, text_of
from duomem_jax.records.there import instead
from duomem_jax.text.encoded import Example
from duomem_jax.text.sight import Sight
from duomem_jax.text.template import PLAIN, TurnTemplate

logger = logging.getLogger(__name__)

# Texts of a game repeat; beyond this many the memory is worth more than the time.
_MAX_CACHED = 20_000
PROCESSORS = "chat_template.json"
_PROBE = "Thought: 1 2 3"


def load_tokenizer(folder: str | os.PathLike) -> Any:
    """Tokenizer of a Hugging Face folder or hub name.

    Raises:
        UserError: it cannot be loaded, is only part of one, or no chat can be written with it.
    """
    # Here, since transformers takes seconds to import.
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        _check_vocabulary(folder, tokenizer)
    except UserError:
        raise
    # Besides its own errors and the system's, whatever a value of the wrong kind ends in; the
    # library that reads tokenizer.json raises `Exception` itself.
    except Exception as e:
        raise UserError(
            f"{folder}: no tokenizer could be loaded ({first_line(e)}); "
            + instead(folder, "a folder with tokenizer.json and tokenizer_config.json")
        ) from e
    template = _default_template(folder, tokenizer.chat_template or _of_processor(folder))
    tokenizer.chat_template = template or _plain_template(folder, tokenizer)
    return tokenizer


def _check_vocabulary(folder: str | os.PathLike, tokenizer: Any) -> None:
    """Refuse what transformers makes of a folder without tokenizer.json: no text in it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(f"{folder}: the tokenizer has no tokenizer.json; use a model that has one")
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    words = set(backend.get_vocab().values()) - special
    if not words or not tokenizer(_PROBE, add_special_tokens=False)["input_ids"]:
        raise UserError(
            f"{folder}: the tokenizer knows special tokens only, as tokenizer.json is missing or "
            "incomplete; download the model again"
        )


def _of_processor(folder: str | os.PathLike) -> Any:
    """The chat template beside a tokenizer that has none, as older folders of models that see."""
    path = Path(folder) / PROCESSORS
    if not path.is_file():
        return None
    again = "download the model again"
    return read_json(path, missing=again, damaged=again).get("chat_template")


def _default_template(folder: str | os.PathLike, template: Any) -> str:
    """The chat template that is used, of one or several; empty where there is none."""
    # Several have names; transformers too takes the one called so unless there are tools.
    if isinstance(template, dict):
        if "default" not in template:
            raise UserError(
                f"{folder}: the tokenizer has the chat templates {', '.join(sorted(template))} and "
                "none called default; keep one of them as chat_template.jinja"
            )
        template = template["default"]
    if not isinstance(template, str | None):
        raise UserError(
            f"{folder}: chat_template in tokenizer_config.json is no text; download the model again"
        )
    return template or ""


def _plain_template(folder: str | os.PathLike, tokenizer: Any) -> str:
    """What chats look like to a model that was trained on none."""
    if tokenizer.eos_token is None:
        raise UserError(
            f"{folder}: the tokenizer has no chat_template, and no eos_token for a plain one; use "
            "a chat model's, or put one there as chat_template.jinja"
        )
    logger.info(
        "%s: has no chat template; messages stand between role and %s", folder, tokenizer.eos_token
    )
    return PLAIN


def check_ids(name: str, tokenizer: Any, vocab_size: int, framing: Collection[int] = ()) -> None:
    """Refuse a tokenizer that writes ids beyond a model's vocabulary; fewer ids are fine.

    Special tokens that no chat uses may lie beyond it: Gemma 3's text models have one for images.

    Args:
        name: of the model, for the message.
        tokenizer: from `load_tokenizer`.
        vocab_size: entries of the model's table and head.
        framing: special tokens that chats hold (`ChatTokens.framing`), where there are chats.

    Raises:
        UserError: a token of text or of the chat template lies beyond.
    """
    vocabulary = tokenizer.get_vocab()
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    unused = special - {*framing}
    beyond = {i: token for token, i in vocabulary.items() if i >= vocab_size and i not in unused}
    if beyond:
        first = min(beyond)
        raise UserError(
            f"{name}: the tokenizer's token {beyond[first]!r} has id {first}, and the model's "
            f"vocabulary ends at {vocab_size - 1}; use the model's own tokenizer"
        )


def vocabulary_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of vocabulary and rules; equal ones spell every text with the same ids."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """SHA-256 of vocabulary, rules, chat template and opening; equal ones give equal ids.

    Raises:
        UserError: the template cannot be used turn by turn, as `TurnTemplate` says.
    """
    # The opening as well: a template's text does not tell which begin token it prints, nor what
    # day it takes for today.
    opening = chat_tokens(tokenizer).opening
    parts = tokenizer.backend_tokenizer.to_str(), str(tokenizer.chat_template), opening
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Piece(NamedTuple):
    """A part of a conversation that is tokenised alone."""

    text: str
    is_reply: bool  # then its text begins with the header of a reply
    is_learnt: bool


class ChatTokens:
    """Token ids of the turns of a chat under one tokenizer.

    Attributes:
        end_id: the end-of-turn token that closes a reply; generation stops at it.
        opening: what the template says before a first user message and before its reply.

    Raises:
        UserError: the template cannot be used turn by turn, as `TurnTemplate` says.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = TurnTemplate(tokenizer)
        self.end_id, self.opening = self._template.end_id, self._template.opening
        self._cached: dict[str, list[int]] = {}
        self._header = self._encode([self._template.reply_header])[0]
        self._check()

    @property
    def framing(self) -> list[int]:
        """Ids that the template puts around two short messages."""
        return self.first("a") + self.reply("a") + self.next("a")

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

    def since(self, chat: Chat, held: int = 0, sight: Sight | None = None) -> list[int]:
        """Ids of a chat's messages after the first `held`, which a cache holds already.

        They end where a reply begins, or with the end-of-turn token of a reply.

        Args:
            chat: all of it.
            held: messages.
            sight: of the model; None: it reads words alone.

        Raises:
            UserError: as `conversations`.
            ValueError: roles are not [system] then user, assistant, ... by turns.
        """
        # All pieces are made, which checks the roles; only the new ones are tokenised.
        pieces = self._pieces(chat, sight)
        first = max(0, held - (len(chat) - len(pieces)))  # a system message is no piece of its own
        new = pieces[first:]
        found: list[int] = []
        for piece, ids in zip(new, self._ids([piece.text for piece in new]), strict=True):
            found += self._turn_ids(piece, ids)
        return found

    def conversations(self, chats: Sequence[Chat], sight: Sight | None = None) -> list[Example]:
        """Token ids and loss mask of each conversation.

        The mask is 1 on replies and their ends of turn, except for replies of weight 0.

        New pieces of all conversations are tokenised in one batch.

        Args:
            chats: each from its start.
            sight: of the model; None: it reads words alone.

        Raises:
            UserError: a reply runs into the tokens of its header, or holds an end-of-turn token; or
                a chat has a picture and there is no `sight`, or words that stand for one.
            ValueError: roles are not [system] then user, assistant, ... by turns.
        """
        pieces = [self._pieces(chat, sight) for chat in chats]
        all_ids = iter(self._ids([piece.text for chat in pieces for piece in chat]))
        result = []
        for chat in pieces:
            tokens: list[int] = []
            mask: list[int] = []
            for piece in chat:
                ids = self._turn_ids(piece, next(all_ids))
                tokens += ids
                mask += [int(piece.is_learnt)] * len(ids)
            result.append(Example(tokens, mask))
        return result

    def _pieces(self, chat: Chat, sight: Sight | None) -> list["_Piece"]:
        system = text_of(chat[0]) if chat[0]["role"] == "system" else ""
        turns = chat[1:] if chat[0]["role"] == "system" else chat
        pieces = []
        for k, message in enumerate(turns):
            is_reply = k % 2 == 1
            role = "assistant" if is_reply else "user"
            if message["role"] != role:
                raise ValueError(f"expected a message of the {role}, not {message['role']}")
            content, pictures = message["content"], pictures_of(message)
            if pictures and sight is None:
                raise self._blind(pictures[0])
            if is_reply:
                text = self._headed_reply(text_of(message))
            elif k == 0:
                text = self._template.first(content, system)
            else:
                text = self._template.next(content)
            text = sight.expand(text, pictures) if sight else text
            pieces.append(_Piece(text, is_reply, is_reply and is_learnt(message)))
        return pieces

    def _blind(self, picture: PicturePart) -> UserError:
        return UserError(
            f"tokenizer {self._template.name}: a chat shows {picture['path']}, and only words are "
            "read here; take a model that sees, and give `duomem examples` what `duomem pictures` "
            "made with it"
        )

    def _turn_ids(self, piece: "_Piece", ids: list[int]) -> list[int]:
        """What a turn adds to a conversation; the header of a reply came with the turn before."""
        return self._without_header(piece.text, ids) if piece.is_reply else ids

    def _headed_reply(self, content: str) -> str:
        # With its header, so that header and content are tokenised together as in the whole.
        return self._template.reply_header + self._template.reply(content)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, tokenised once; the lists are the caller's own."""
        if len(self._cached) > _MAX_CACHED:
            self._cached.clear()
        # Without repetitions, in order: one call of the tokenizer for all that is new.
        new = list(dict.fromkeys(t for t in texts if t not in self._cached))
        if new:
            self._cached.update(zip(new, self._encode(new), strict=True))
        return [list(self._cached[t]) for t in texts]

    def _without_header(self, text: str, ids: list[int]) -> list[int]:
        n = len(self._header)
        # Without a clean cut a mask would either learn a part of the header or lose a part of the
        # reply, and what an agent appends would not be what training saw.
        if ids[:n] != self._header:
            raise UserError(
                f"tokenizer {self._template.name}: the reply header and {text[:60]!r} share a "
                "token, so a loss mask cannot part them; use another tokenizer or chat template"
            )
        # A generator stops at the first end of turn, so no model could write such a reply.
        if ids.index(self.end_id, n) != len(ids) - 1:
            raise UserError(
                f"tokenizer {self._template.name}: a reply holds the end-of-turn token in its "
                f"text ({text[:60]!r}); remove it from the episode"
            )
        return ids[n:]

    def _encode(self, texts: list[str]) -> list[list[int]]:
        # A template writes the begin token itself where its model wants one.
        return self._tokenizer(texts, add_special_tokens=False)["input_ids"]

    def _check(self) -> None:
        """Prove on a probe that the ids of the pieces are the ids of the whole text."""
        first = "Thought: probe 0,\n 7 probe."
        reply = "Thought: probe 1,\n 7 probe."
        further = "Thought: probe 2,\n 7 probe."
        template = self._template
        whole = template.first(first) + template.reply(reply) + template.next(further)
        # Everything that appends to a cache rests on this.
        if self._encode([whole])[0] != self.first(first) + self.reply(reply) + self.next(further):
            raise UserError(
                f"tokenizer {template.name}: it joins tokens across turns, so turns cannot be "
                "appended to a conversation; use a tokenizer with a ChatML-like template"
            )


# Few of them, since each keeps up to `_MAX_CACHED` texts.
@functools.lru_cache(maxsize=4)
def chat_tokens(tokenizer: Any) -> ChatTokens:
    """The `ChatTokens` of a tokenizer, made on first use: its checks and its cache take time."""
    return ChatTokens(tokenizer)
