"""Packed training rows of the tiny models' pretraining corpora, and their tokenizer.

`python -m duomem_jax.tiny.rows teacher runs/tiny/teacher-rows` writes one corpus;
`configs/tiny_teacher.py` trains on it.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from duomem_jax.data.chat import first_message, next_message, reply
from duomem_jax.data.examples import Rows
from duomem_jax.data.pack import Example, fit_to_length, pack, row_layout
from duomem_jax.data.store import DatasetSpec, WriteReport, write_dataset
from duomem_jax.data.tokens import chat_tokens, load_tokenizer, tokenizer_fingerprint
from duomem_jax.envs.generate import generate_games
from duomem_jax.errors import UserError
from duomem_jax.io import atomic_dir
from duomem_jax.memory.prompt import GUIDELINES_HEADER
from duomem_jax.stages import parse_shard
from duomem_jax.teachers.prior import LocationPrior
from duomem_jax.tiny.corpus import Transcript, expert_transcripts, general_transcripts
from duomem_jax.tiny.procedures import made_up_words
from duomem_jax.tiny.tokenizer import save_tokenizer, vocabulary

CORPORA: dict[str, Callable[..., Iterator[Transcript]]] = {
    "teacher": expert_transcripts,
    "student": general_transcripts,
}
GAMES = {"teacher": 46_000, "student": 48_000}  # a corpus each, read about once
BLOCK = 2000  # games a unit
ROWS_SEED = 20_000_000  # far from the seeds of games that anybody plays


def transcripts(name: str, block: int) -> Iterator[Transcript]:
    """One block of a corpus; it depends on the name and the block number alone."""
    seed = ROWS_SEED + block * 2 + (name == "student")
    return CORPORA[name](generate_games(BLOCK, seed), LocationPrior.default(), seed)


def messages(transcript: Transcript) -> list[dict[str, str]]:
    """The conversation of a transcript, as an agent would have had it."""
    out = []
    for k, turn in enumerate(transcript.turns):
        seen = (
            next_message(turn.observation)
            if k
            else first_message(turn.observation, transcript.guidelines)
        )
        out += [
            {"role": "user", "content": seen},
            {"role": "assistant", "content": reply(turn.thought, turn.action)},
        ]
    return out


def _all_but_slips(example: Example, slips: frozenset[int]) -> Example:
    """Learn every token except the replies that are mistakes."""
    tokens, replies = example
    mask, turn = [], -1
    for before, inside in itertools.pairwise([0, *replies]):
        turn += inside > before
        mask.append(0 if inside and turn in slips else 1)
    return tokens, mask


def write_rows(
    name: str,
    out: str | os.PathLike,
    tokenizer_folder: str | os.PathLike,
    *,
    games: int,
    length: int,
    shard: tuple[int, int] = (0, 1),
) -> WriteReport:
    """Write the corpus `name` as packed rows of `length` tokens; resumes where it stopped.

    Raises:
        UserError: unknown corpus, or an output folder of another config.
    """
    if name not in CORPORA:
        raise UserError(f"no corpus named {name!r}; choose one of {', '.join(CORPORA)}")
    tokenizer = load_tokenizer(tokenizer_folder)
    spec = DatasetSpec(
        name="examples",
        layout=row_layout(length),
        config={"corpus": name, "length": length, "tokenizer": tokenizer_fingerprint(tokenizer)},
        seed=ROWS_SEED,
    )

    def make(keys: list[str]) -> Iterator[tuple[str, Rows, dict[str, int]]]:
        for key in keys:
            block = list(transcripts(name, int(key)))
            encoded = chat_tokens(tokenizer).conversations([messages(t) for t in block])
            fitted = [fit_to_length(e, length) for e in encoded]
            kept = [_all_but_slips(e, t.slips) for e, t in zip(fitted, block, strict=True) if e]
            tokens = sum(len(e[0]) for e in kept)
            yield (
                key,
                list(pack(kept, length)),
                {
                    "examples": len(kept),
                    "tokens": tokens,
                },
            )

    keys = [f"{b:06d}" for b in range(-(-games // BLOCK))]
    return write_dataset(out, keys, make, spec, shard)


def write_tokenizer(folder: str | os.PathLike, *, max_length: int = 2048) -> None:
    """Make the tokenizer that both tiny models share, from a block of each corpus."""
    texts = [
        message["content"]
        for name in CORPORA
        for transcript in itertools.islice(transcripts(name, 0), 1500)
        for message in messages(transcript)
    ]
    made_up = [f" {word}" for word in made_up_words()] * 2
    real = [f" {word}" for word in ("clean", "hot", "cool", "heat", "look", "examine", "find")] * 2
    words = vocabulary([*texts, GUIDELINES_HEADER, *made_up, *made_up_words() * 2, *real])
    with atomic_dir(folder) as tmp:
        save_tokenizer(tmp, words, max_length=max_length)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", choices=[*CORPORA, "tokenizer"])
    parser.add_argument("output", help="folder to write")
    parser.add_argument("--tokenizer", default="runs/tiny/tokenizer", help="tokenizer folder")
    parser.add_argument("--games", type=int, help=f"how many games; by default {GAMES}")
    parser.add_argument("--length", type=int, default=1024, help="tokens a row")
    parser.add_argument("--shard", default="0/1", help="write part i/n")
    args = parser.parse_args()
    try:
        if args.corpus == "tokenizer":
            write_tokenizer(Path(args.output))
            return
        report = write_rows(
            args.corpus,
            args.output,
            args.tokenizer,
            games=args.games or GAMES[args.corpus],
            length=args.length,
            shard=parse_shard(args.shard),
        )
        print(report.message)
    except UserError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
