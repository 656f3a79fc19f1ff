"""Packed training rows of the tiny models' pretraining corpora.

`python -m duomem_jax.tiny.rows teacher runs/tiny/teacher-rows` writes one corpus;
`configs/tiny_teacher.py` trains on it.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Callable, Iterator

from duomem_jax.data.chat import first_message, next_message, reply
from duomem_jax.data.pack import Example, Rows, pack_examples, row_layout
from duomem_jax.data.store import DatasetSpec, WriteReport, write_dataset
from duomem_jax.data.tokens import chat_tokens, load_tokenizer, tokenizer_fingerprint
from duomem_jax.envs.generate import generate_games
from duomem_jax.errors import UserError
from duomem_jax.stages import parse_shard
from duomem_jax.teachers.prior import LocationPrior
from duomem_jax.tiny.corpus import Transcript, expert_transcripts, general_transcripts

CORPORA: dict[str, Callable[..., Iterator[Transcript]]] = {
    "teacher": expert_transcripts,
    "student": general_transcripts,
}
GAMES = {"teacher": 34_000, "student": 32_000}  # a corpus each, read about once
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


def _without_slips(example: Example, slips: frozenset[int]) -> Example:
    """Take the replies that are mistakes out of the loss."""
    tokens, replies = example
    mask, turn = [], -1
    for before, inside in itertools.pairwise([0, *replies]):
        turn += inside > before
        mask.append(int(inside and turn not in slips))
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
            learnt = [_without_slips(e, t.slips) for e, t in zip(encoded, block, strict=True)]
            yield key, *pack_examples(learnt, length)

    keys = [f"{b:06d}" for b in range(-(-games // BLOCK))]
    return write_dataset(out, keys, make, spec, shard)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", choices=list(CORPORA))
    parser.add_argument("output", help="folder to write")
    parser.add_argument("--tokenizer", help="its folder; by default runs/tiny/<corpus>-start")
    parser.add_argument("--games", type=int, help=f"how many games; by default {GAMES}")
    parser.add_argument("--length", type=int, default=1024, help="tokens a row")
    parser.add_argument("--shard", default="0/1", help="write part i/n")
    args = parser.parse_args()
    try:
        report = write_rows(
            args.corpus,
            args.output,
            args.tokenizer or f"runs/tiny/{args.corpus}-start",
            games=args.games or GAMES[args.corpus],
            length=args.length,
            shard=parse_shard(args.shard),
        )
        print(report.message)
    except UserError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
