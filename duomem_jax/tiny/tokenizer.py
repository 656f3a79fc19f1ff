"""A tokenizer for the household world: words, names of things, and the world's set phrases.

Byte-level BPE in the Qwen layout, with `ignore_merges`: a piece that is in the vocabulary is one
token, and any other text falls back to words and bytes, so every string survives a round trip. Set
phrases of the engine (`You arrive at`) are one token each, and so is a thing with its number
(`mug 2`): an episode is half as long as in words, and naming what was seen is copying one token,
where a tiny model that copies word and number apart gets the number wrong.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duomem_jax.text.spelling import byte_alphabet

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("system", "user", "assistant")
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PHRASES = (
    "You are in the middle of a room. Looking quickly around you, you see",
    "\n\nYour task is to:",
    "-= Welcome to TextWorld, ALFRED! =-\n\n",
    "Observation: ",
    "Thought: ",
    "\nAction: go to",
    "\nAction: take",
    "\nAction: open",
    "\nAction: move",
    " Go to",
    "\nAction: ",
    "You arrive at",
    "You pick up the",
    "You move the",
    "You are facing the",
    "You are carrying:",
    "You are not carrying anything.",
    "Next to it, you see",
    "There's nothing special about",
    "Nothing happens.",
    "This is a",
    ". On the",
    ". The",
    ", you see",
    " is open. In it, you see",
    " is closed.",
    " is open.",
    ", and a",
    ", a",
    " from the",
    " to the",
    " It is closed. Open it.",
    " Take it.",
    "Thought: I look for a",
    ". I see",
    ". It is not here. Next is",
    " Next is",
    " It can be in",
    "Here are some guidelines of how to solve the similar task:\n",
    '[{"task_name": "',
    '{"task_name": "',
    '", "guidelines": "',
    '"}, ',
    '"}]\n\n',
    '"}]',
    " and take it.",
    " and use it.",
)
"""Set phrases that are one token; each is matched before the words inside it."""

# A piece takes the space before it, so that a word inside a sentence is one token.
_WORDS = r" ?[A-Za-z]+| ?\d+|\s| ?[^\sA-Za-z\d]"
_NAME = re.compile(r"\b([a-z]+) (\d+)")


@dataclass(frozen=True)
class Vocabulary:
    """What becomes one token, besides bytes and special tokens.

    Attributes:
        words: phrases, words and numbers.
        names: kind of thing -> its highest number; `mug` 3 makes `mug 1` to `mug 3` tokens.
    """

    words: tuple[str, ...]
    names: dict[str, int]

    @property
    def tokens(self) -> list[str]:
        """Every token as text, in the order of its id."""
        things = [f" {k} {i}" for k, top in self.names.items() for i in range(1, top + 1)]
        return [*self.words, *things]

    @property
    def pattern(self) -> str:
        """A regular expression that matches piece after piece of a text."""
        return _pattern(self.names)


def _pattern(names: dict[str, int]) -> str:
    # The longest first: of two alternatives that match, a regular expression takes the earlier.
    phrases = [_phrase(p) for p in sorted(PHRASES, key=len, reverse=True)]
    numbers = {kind: "|".join(map(str, range(top, 0, -1))) for kind, top in names.items()}
    things = [rf" ?{kind} (?:{numbers[kind]})(?!\d)" for kind in names]  # `mug 1`, not of `mug 12`
    return "|".join([*phrases, *things, _WORDS])


def _phrase(phrase: str) -> str:
    # `'` is escaped as in the shipped tokenizers, which must come out the same.
    pattern = re.escape(phrase).replace("'", "\\'")
    if phrase[-1].isalpha():
        pattern += r"(?![A-Za-z])"  # `, a` must not begin `, apple`
    return pattern


def vocabulary(texts: Iterable[str], *, min_count: int = 2, numbers: int = 40) -> Vocabulary:
    """Phrases, numbers, words that `texts` hold `min_count` times, and all things named there."""
    # Read twice: names first, since they decide what is one piece.
    texts = list(texts)
    names: dict[str, int] = {}
    for kind, number in (match for text in texts for match in _NAME.findall(text)):
        names[kind] = max(names.get(kind, 1), int(number))
    names = dict(sorted(names.items()))
    pattern = re.compile(_pattern(names))
    counts = Counter(piece for text in texts for piece in pattern.findall(text))
    # Numbers come from `digits` and `names`, whichever of them the texts happen to hold.
    words = {w for w, n in counts.items() if n >= min_count and not w[-1].isdigit()}
    digits = [f"{space}{i}" for i in range(numbers + 1) for space in ("", " ")]
    return Vocabulary((*sorted({*words, *PHRASES}), *digits), names)


def save_tokenizer(folder: Path, vocab: Vocabulary, *, max_length: int) -> None:
    """Write tokenizer.json, its config with the chat template, and where generation ends.

    Args:
        folder: an existing Hugging Face model folder.
        vocab: what becomes one token.
        max_length: the longest conversation the model was trained for, in tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    table = byte_alphabet()
    spelled = ["".join(table[b] for b in piece.encode()) for piece in vocab.tokens]
    # All 256 bytes come first: with them every text has a spelling. Words of one letter are bytes.
    tokens = list(dict.fromkeys([*table.values(), *spelled]))
    ids = {token: i for i, token in enumerate(tokens)}
    # Without merges every piece would fall apart into bytes; `ignore_merges` looks it up whole.
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(vocab.pattern), "isolated"),
            # The pattern above has split already; a space put first would not be the text's.
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    write_tokenizer(tokenizer, folder, max_length=max_length)


def write_tokenizer(tokenizer: Any, folder: Path, *, max_length: int) -> None:
    """Write a `tokenizers.Tokenizer`, with special tokens and template of the tiny models."""
    from tokenizers import AddedToken

    special = [PAD, END, *(f"<|{role}|>" for role in ROLES)]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": PAD,
        "eos_token": END,
        "additional_special_tokens": special[2:],
        # Decoding must give back the very text: tidied spaces would not.
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
        # Servers take a Qwen3 model's replies for ChatML unless they are told.
        "response_template": {
            "defaults": {"role": "assistant"},
            "start_anchor": "<|assistant|>",
            "fields": {"content": {"close": END, "content": "text"}},
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    # Without it transformers never stops.
    generation = {"eos_token_id": tokenizer.token_to_id(END)}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
