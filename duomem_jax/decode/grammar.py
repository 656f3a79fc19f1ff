"""JSON schemas as grammars over tokens: which token may come next, and which must (llguidance).

A constrained reply is JSON without spaces between its parts, its keys in the order of the schema,
its letters as they are. `json_text` writes a value that way: what an expert is to learn should be
written with it, so that the grammar never takes the expert off what it learnt.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.text.tokenizer import chat_tokens

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

Schema: TypeAlias = Mapping[str, Any]

# Escapes that `json_text` writes. Without the others a model cannot write half a character
# ("\ud800"), which no file can hold.
_FORM: "JsonCompileOptions" = {
    "whitespace_flexible": False,
    "item_separator": ",",
    "key_separator": ":",
    "json_allowed_escapes": '"\\nrtbf',
}


_KEPT = 64  # grammars at once; one takes milliseconds to make


def json_text(value: Any) -> str:
    """A value as a constrained reply spells it.

    Raises:
        ValueError: it is no JSON: NaN, infinite, or it contains itself.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Constraint:
    """A reply under a schema, which takes its tokens one by one.

    Attributes:
        vocabulary: tokens that it knows.
    """

    def __init__(self, matcher: Any, vocabulary: int):
        """Begin a reply.

        Args:
            matcher: a fresh `llguidance.LLMatcher`, which belongs to this reply from now on.
            vocabulary: tokens that it knows.
        """
        self._matcher, self.vocabulary = matcher, vocabulary

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self._matcher.is_stopped()

    @property
    def complete(self) -> bool:
        """Whether it has ended as the schema wants it."""
        # A grammar that outgrows the parser's limits stops, too.
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def forced(self) -> list[int]:
        """The tokens that must come next, spelt as the tokenizer spells them; maybe none."""
        return self._matcher.compute_ff_tokens()

    def take(self, tokens: Sequence[int]) -> None:
        """Add tokens, each of which was allowed."""
        self._matcher.consume_tokens(list(tokens))

    def allow(self, mask_n: np.ndarray) -> None:
        """Set the bits of the tokens that may come next.

        Args:
            mask_n: uint32, bit i % 32 of word i // 32 for token i; words beyond the vocabulary are
                left alone.
        """
        # The matcher takes no other size than its own.
        mask_n = mask_n[: -(-self.vocabulary // 32)]
        self._matcher.unsafe_compute_mask_ptr(mask_n.ctypes.data, mask_n.nbytes)


class Grammars:
    """Grammars over the tokens of one tokenizer, each made once."""

    def __init__(self, tokenizer: Any, ends: Collection[int] = ()):
        """Learn the vocabulary: tenths of a second.

        Args:
            tokenizer: the model's, with a chat template.
            ends: tokens that end a reply beside the template's end of turn.
        """
        from llguidance.hf import from_tokenizer

        chat = chat_tokens(tokenizer)
        # No other special token is ever allowed.
        own = from_tokenizer(tokenizer, eos_token=[chat.end_id, *sorted({*ends} - {chat.end_id})])
        self._tokenizer, self._made = own, dict[str, Any]()
        # Llama 2's tokenizer puts a space before the first word of a reply.
        opening = own.decode_str(chat.reply("{}"))
        self._lead = opening[: opening.find("{")]

    def constraint(self, schema: Schema) -> Constraint:
        """A reply that satisfies a schema.

        Raises:
            UserError: the schema is no JSON schema, or says what cannot be constrained.
        """
        # With the order of its keys, which is the order in which they are written.
        key = json.dumps(schema)
        if key not in self._made:
            # Callers may name ids in their schemas, each time others.
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[key] = self._matcher(key)
        return Constraint(self._made[key].deep_copy(), self._tokenizer.vocab_size)

    def _matcher(self, schema: str) -> Any:
        from llguidance import LLMatcher

        if self._lead:
            body = json.dumps(json.loads(schema) | {"x-guidance": _FORM})
            grammar = f"start: {json.dumps(self._lead)} body\nbody: %json {body}"
            matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0)
        else:
            grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_FORM)
            matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            why = matcher.get_error().splitlines()[0]
            raise UserError(f"schema: {why}; change it, or ask without a schema")
        return matcher
