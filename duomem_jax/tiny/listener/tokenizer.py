"""The listener's tokenizer: byte-level BPE of short pieces, and set phrases that are one token.

The words of people's sentences are mostly one token each. Names and values are spelt in pieces,
those of training dialogues like others, since the texts that it learns from hold made-up ones. The
sentences of the operations' prompts are one token each: a prompt costs a small model nothing then.
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from duomem_jax.memory.operations import answer, extract, talk, update
from duomem_jax.memory.operations.lines import NOTHING
from duomem_jax.text.spelling import byte_alphabet
from duomem_jax.tiny.tokenizer import write_tokenizer
from duomem_jax.worlds.dialogues.generate.dates import DAYS, MONTHS

MERGES = 1900  # tokens of BPE beside the bytes
NUMBERS = range(41)
YEARS = range(2000, 2031)
# Where a list ends or goes on is one token: one choice, not several.
JSON = (*('{"', '":[{"', '":[]}', '":"', '":', ',"', '"},{"', '},{"', '"}]}', "}]}", '"}', '","'),)
# Keys and values of the replies; they are pieces of their own in the lessons, too.
KEYS = ("facts", "turn", "fact", "operations", "do", "add", "update", "delete", "id", "text")
_OTHERS = (NOTHING, answer.UNKNOWN, " [shares ")
_WORDS = (
    r"'(?:s|m|ve|re|ll|d|t)(?!\p{L})",
    # A small word takes the space before it.
    r" ?\p{Ll}[\p{L}\p{M}]*",
    f" (?:I|{'|'.join((*DAYS, *MONTHS))})(?!\\p{{L}})",
    # A name does not: it is the same pieces at the start of a sentence, which is what is copied.
    r"[\p{L}\p{M}]+",
    r"[.,:;!?\]] (?=[\p{Lu}\p{Lo}])",
    # Years, and numbers up to 99; of others each digit.
    r" ?20[0-3]\d(?!\d)",
    r" ?[1-9]?\d(?!\d)",
    r" ?\d",
    r"\s",
    r" ?[^\s\p{L}\p{M}\d]",
)


def phrases() -> tuple[str, ...]:
    """What is one token: sentences and tags of the prompts, and the punctuation of JSON."""
    prompts = (extract.PROMPT, update.PROMPT, answer.PROMPT, talk.PROMPT)
    parts = [part for prompt in prompts for part in re.split(r"\$\w+", prompt.text)]
    # One sentence each, so that a prompt with another sentence is still short.
    sentences = [
        sentence
        for part in parts
        for sentence in re.findall(r".+?(?:[.:?>]\s|\n|$)|\n", part, re.DOTALL)
    ]
    found = [*sentences, *JSON, *_OTHERS]
    return tuple(dict.fromkeys(text for text in found if len(text) > 1))


def pattern() -> str:
    """A regular expression that matches piece after piece of a text."""
    longest = sorted(phrases(), key=len, reverse=True)
    return "|".join([*map(_escaped, longest), *_WORDS])


def _escaped(phrase: str) -> str:
    return re.sub(r"([^\w\s<>=,:;\"'!@%&~`/-])", r"\\\1", phrase)


def save_tokenizer(folder: Path, texts: Iterable[str], *, max_length: int) -> None:
    """Learn the pieces from texts; write tokenizer.json and what belongs to it.

    Args:
        folder: an existing Hugging Face model folder.
        texts: the same ones give the same pieces.
        max_length: the longest conversation the model was trained for, in tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    def split() -> pre_tokenizers.PreTokenizer:
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern()), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    table = byte_alphabet()
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = split()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES, initial_alphabet=list(table.values()), show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    learnt = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    own = [*NUMBERS, *YEARS]
    more = [*phrases(), *KEYS, *(f"{space}{n}" for n in own for space in ("", " "))]
    spelled = ("".join(table[b] for b in text.encode()) for text in more)
    tokens = list(dict.fromkeys([*table.values(), *(token for token, _ in learnt), *spelled]))
    ids = {token: i for i, token in enumerate(tokens)}
    # What is in the vocabulary as a whole is one token, without the merges that lead to it.
    whole = Tokenizer(models.BPE(vocab=ids, merges=_merges(learner.model), ignore_merges=True))
    whole.pre_tokenizer, whole.decoder = split(), decoders.ByteLevel()
    write_tokenizer(whole, folder, max_length=max_length)


def _merges(model: Any) -> list[tuple[str, str]]:
    # The library gives them as a file only.
    with tempfile.TemporaryDirectory() as scratch:
        model.save(scratch)
        lines = (Path(scratch) / "merges.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ") for line in lines if not line.startswith("#version"))
    return [(first, second) for first, second in pairs]
