"""What every way of a benchmark measures: processor and wall seconds, peak memory."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


def arguments() -> tuple[str, int, int, float, str]:
    """(model folder, tokens, steps, share of the tokens that carry loss, dtype) as given."""
    folder, length, steps, share, dtype = sys.argv[1:6]
    return folder, int(length), int(steps), float(share), dtype


def sequence(length: int, share: float, vocab: int) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens [1,T], and which of them carry loss (the last ones)."""
    tokens = np.random.default_rng(0).integers(0, vocab, (1, length))
    return tokens, np.arange(length)[None] >= length * (1 - share)


def prompts(batch: int, length: int, vocab: int) -> np.ndarray:
    """Random tokens [B,T]; the last id of the vocabulary never occurs."""
    return np.random.default_rng(0).integers(0, vocab - 1, (batch, length))


def timed(call: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """(what `call` returned, its processor seconds, its wall seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    out = call()
    return out, time.process_time() - cpu, time.perf_counter() - wall


def report_decode(generate: Callable[[int], np.ndarray], batch: int, new: int) -> None:
    """Print seconds a token of `generate`, which returns n new tokens a row [B,n].

    The call with one new token reads the prompt as well: the difference is `new - 1` decode steps.
    Seconds are a token of one row, so their inverse is the tokens of all rows in a second.
    """
    for n in (new, 1):
        generate(n)  # compiles, allocates
    tokens, cpu, wall = timed(lambda: generate(new))
    _, cpu_read, wall_read = timed(lambda: generate(1))
    assert tokens.shape == (batch, new), tokens.shape
    count = batch * (new - 1)
    row = {
        "wall s a token": (wall - wall_read) / count,
        "cpu s a token": (cpu - cpu_read) / count,
        "peak MiB": peak(),
        "tokens": tokens[0, :8].tolist(),
    }
    print(json.dumps(row), flush=True)


class Episode(NamedTuple):
    """Conversations of a batch: a prompt, then replies and observations by turns."""

    batch: int
    turns: int
    prompt: int
    observation: int
    reply: int


def play(turn: Callable[[np.ndarray], np.ndarray], vocab: int, episode: Episode) -> np.ndarray:
    """All tokens [B,T]; `turn` gets the tokens so far and returns `reply` new ones a row."""
    rng = np.random.default_rng(0)
    tokens = np.zeros((episode.batch, 0), np.int64)
    for k in range(episode.turns):
        heard = episode.observation if k else episode.prompt
        tokens = np.hstack([tokens, rng.integers(0, vocab - 1, (episode.batch, heard))])
        said = turn(tokens)
        assert said.shape == (episode.batch, episode.reply), said.shape
        tokens = np.hstack([tokens, said])
    return tokens


def report_episode(
    turn: Callable[[np.ndarray], np.ndarray], vocab: int, episode: Episode, warm: int
) -> None:
    """Play `warm` turns, then time the episode and print one line of JSON.

    Its tokens are the first of the first reply: later ones follow other conversations, as ours
    always ends a reply with the end token.
    """
    play(turn, vocab, episode._replace(turns=warm))  # compiles, allocates
    tokens, cpu, wall = timed(lambda: play(turn, vocab, episode))
    first = tokens[0, episode.prompt :][:8].tolist()
    row = {"wall s": wall, "cpu s": cpu, "peak MiB": peak(), "tokens": first}
    print(json.dumps(row), flush=True)


def report(step: Callable[[], float], steps: int) -> None:
    """Time `step`, which returns its loss, and print one line of JSON."""
    first = step()  # compiles, allocates
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        last = step()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print_row(cpu / steps, wall / steps, first, last)


def peak() -> float:
    """The most memory this process held, in MiB; getrusage's figure starts at the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def print_row(cpu: float, wall: float, first: float, last: float) -> None:
    """One line of JSON: seconds a step, this process's peak memory, losses."""
    row = {"cpu s": cpu, "wall s": wall, "peak MiB": peak(), "first loss": first, "last loss": last}
    print(json.dumps(row), flush=True)
