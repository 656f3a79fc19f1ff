"""A tokenizer for the household world: whole words, whole numbers and the world's set phrases.

Byte-level BPE in the Qwen layout, with `ignore_merges`: a piece that is in the vocabulary is one
token, and any other text falls back to bytes, so every string survives a round trip. Set phrases
of the engine (`You arrive at`) are one token each, which shortens an episode by a third; every
number is one token, because copying an instance number is what a tiny model gets wrong first.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

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

_WORDS = r" ?[A-Za-z]+| ?\d+|\s| ?[^\sA-Za-z\d]"


def _pattern() -> str:
    phrases = sorted(PHRASES, key=len, reverse=True)
    return "|".join([re.escape(p).replace("'", "\\'") for p in phrases] + [_WORDS])


def pieces(text: str) -> list[str]:
    """Split text as the tokenizer does before it looks pieces up."""
    return re.findall(_pattern(), text)


def _byte_alphabet() -> dict[int, str]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes (GPT-2's table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (b for b in range(256) if b not in kept)
    table = {b: chr(b) for b in kept}
    table.update({b: chr(256 + i) for i, b in enumerate(others)})
    return table


def vocabulary(texts: Iterable[str], *, min_count: int = 2, numbers: int = 40) -> list[str]:
    """Pieces that become tokens: phrases, numbers, and words seen `min_count` times."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(pieces(text))
    words = [w for w, n in sorted(counts.items()) if n >= min_count and not w.strip().isdigit()]
    digits = [f"{space}{i}" for i in range(numbers + 1) for space in ("", " ")]
    return sorted({*words, *PHRASES}) + digits


def save_tokenizer(folder: Path, vocab: list[str], *, max_length: int) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template as transformers reads them.

    Args:
        folder: an existing Hugging Face model folder.
        vocab: pieces from `vocabulary`, besides the 256 bytes and the special tokens.
        max_length: the longest conversation the model was trained for, in tokens.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    table = _byte_alphabet()
    spelled = ["".join(table[b] for b in piece.encode()) for piece in vocab]
    tokens = list(dict.fromkeys([*table.values(), *spelled]))
    ids = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_pattern()), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, END, *(f"<|{role}|>" for role in ROLES)]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": PAD,
        "eos_token": END,
        "additional_special_tokens": special[2:],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
