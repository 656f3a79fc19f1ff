"""Windows of rendered episodes: some tokens to read, and those that followed them.

A window is an example of arXiv 2601.15394: the first tokens (50) are given, the next (50) are what
a model may know by heart. Suffixes tile an episode from its `prefix`-th token on, so that no token
is asked for twice; what is left at the end, shorter than a suffix, is not asked for.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duomem_jax.base.sample import spread
from duomem_jax.records.episodes import Episode
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import episode_messages

TRAIN = "train"
HELD_OUT = "held-out"
TEMPLATE = "template"
SETS = (TRAIN, HELD_OUT, TEMPLATE)
BLOCK = 1024  # episodes tokenised together


@dataclass(frozen=True, eq=False)
class Window:
    """Consecutive tokens of one episode, Y of them to be reproduced.

    Attributes:
        game_id: whose text it is.
        seed: of the player; (game_id, seed) names an episode.
        start: of the prefix, in tokens of the episode.
        tokens: int32[T], prefix and suffix; where conversations begin with the tokenizer's begin
            token, that one stands before every prefix.
        written: bool[Y], which tokens of the suffix the player wrote; the others it read.
        zlib_bytes: length of the suffix's text, compressed: how much there is to know by heart.
    """

    game_id: str
    seed: int
    start: int
    tokens: np.ndarray
    written: np.ndarray
    zlib_bytes: int

    @property
    def suffix(self) -> np.ndarray:
        """int32[Y], the tokens to be reproduced."""
        return self.tokens[-len(self.written) :]


def cut_windows(
    episodes: Sequence[Episode], tokenizer: Any, *, prefix: int, suffix: int, system: str = ""
) -> Iterator[Window]:
    """All windows of the won episodes, which are the ones that students learn from.

    Args:
        episodes: rendered as the student's chat, without memories.
        tokenizer: the student's.
        prefix: tokens given.
        suffix: Y, tokens to be reproduced.
        system: content of the system message; none when empty.
    """
    for at in range(0, len(episodes), BLOCK):
        won = [e for e in episodes[at : at + BLOCK] if e.success and e.turns]
        chats = [episode_messages(e, system=system) for e in won]
        encoded = chat_tokens(tokenizer).conversations(chats)
        for episode, (ids, mask, _) in zip(won, encoded, strict=True):
            # A begin token is never to be reproduced, but models expect it before any text.
            begin = 1 if ids[0] == tokenizer.bos_token_id else 0
            tokens, written = np.array(ids, np.int32), np.array(mask, bool)
            # A suffix further each time: suffixes tile the episode, prefixes overlap them.
            for start in range(begin, len(ids) - prefix - suffix + 1, suffix):
                middle, end = start + prefix, start + prefix + suffix
                text = tokenizer.decode(ids[middle:end])
                yield Window(
                    game_id=episode.game_id,
                    seed=episode.seed,
                    start=start,
                    tokens=np.concatenate([tokens[:begin], tokens[start:end]]),
                    written=written[middle:end],
                    zlib_bytes=len(zlib.compress(text.encode())),
                )


def sort_out(
    train: Sequence[Window], held_out: Sequence[Window], limit: int = 0
) -> dict[str, list[Window]]:
    """Windows of each of `SETS`, one for each suffix.

    Of windows with equal suffixes the first one stays. A suffix that occurs in several games, of
    whichever side, is template: knowing it says nothing about any of them.

    Args:
        train: from games that were learnt from.
        held_out: from games that were not.
        limit: windows of each set, evenly spread; 0: all.
    """
    # By bytes of the token ids: equal suffixes fall into one group, the first one first.
    groups: dict[bytes, list[tuple[str, Window]]] = {}
    for name, windows in ((TRAIN, train), (HELD_OUT, held_out)):
        for window in windows:
            groups.setdefault(window.suffix.tobytes(), []).append((name, window))
    sets: dict[str, list[Window]] = {name: [] for name in SETS}
    for group in groups.values():
        name, first = group[0]
        games = {window.game_id for _, window in group}
        sets[name if len(games) == 1 else TEMPLATE].append(first)
    return {name: list(spread(windows, limit)) for name, windows in sets.items()}
