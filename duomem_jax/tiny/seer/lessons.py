"""Rendered pictures with some questions each, as rows for a model that sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from duomem_jax.base.draw import Draw
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.models.vision.merge import picture_index
from duomem_jax.models.vision.tiles import Grid
from duomem_jax.objectives import Batch, Seen, Tokens
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat
from duomem_jax.text.encoded import Example
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.worlds.pictures import Picture, render

QUESTIONS = 6  # of a picture, at most
SYSTEM = "You look at pictures."
READ = "Read it."
# Of all lessons, those about a note beside those that draw one anyway: it takes longest to learn
# where a line is. And of pictures with something written, those that are read aloud: that says more
# about the letters than six questions do.
NOTE, NOTES, READ_ALOUD = "note", 0.4, 0.5
HERE = "picture"  # no file: the picture is in memory


@dataclass(frozen=True)
class Lesson:
    """A picture, and what is said of it."""

    picture: Picture
    messages: Chat


def lesson(seed: int, index: int, *, held_out: bool = False) -> Lesson:
    """Lesson `index` of a seed: some of what is asked about its picture, in any order.

    Or all that is written on it is read.
    """
    draw = Draw(f"questions {held_out} {seed} {index}")
    kind = NOTE if draw.chance(NOTES) else ""
    picture = render(seed, index, held_out=held_out, kind=kind)
    pairs = [(asked.text, asked.answer) for asked in draw.shuffled(picture.asked)[:QUESTIONS]]
    # Alone: whoever has just read a note aloud need not look at it to answer.
    if picture.written and draw.chance(READ_ALOUD):
        pairs = [(READ, picture.written)]
    (question, answer), *others = pairs
    shown = chat.user([chat.picture(HERE), chat.text(question)])
    messages = [chat.system(SYSTEM), shown, chat.assistant(answer)]
    for question, answer in others:
        messages += [chat.user(question), chat.assistant(answer)]
    return Lesson(picture, messages)


class Desk:
    """Makes batches of lessons for one model.

    Args:
        eyes: of the model; its processor and its picture tokens are used, its weights are not.
        tokenizer: the model's.
        length: T, tokens of a row; what is longer is cut.
    """

    def __init__(self, eyes: Eyes, tokenizer: Any, length: int) -> None:
        self._recipe, self._image = eyes.processor.recipe, eyes.config.image_token
        self._chat, self._eyes, self.length = chat_tokens(tokenizer), _OneTile(eyes), length

    def batch(self, lessons: Sequence[Lesson]) -> tuple[Batch, np.ndarray]:
        """Rows [B, T] and the tile of each, [B, h, w, 3]; features are yet to be looked at."""
        examples = self._chat.conversations([x.messages for x in lessons], self._eyes)
        ids_BT, reply_BT = (np.zeros((len(lessons), self.length), np.int32) for _ in range(2))
        filled_BT = np.zeros_like(ids_BT)
        for row, example in enumerate(examples):
            self._fill(example, ids_BT[row], reply_BT[row], filled_BT[row])
        places_BT = np.arange(self.length, dtype=np.int32) * filled_BT
        tokens = Tokens(ids_BT, filled_BT, places_BT, reply_BT.astype(bool))
        index_BT = picture_index(np.where(filled_BT, ids_BT, -1), self._image)
        seen = Seen(index_BT, np.arange(len(lessons), dtype=np.int32)[:, None])
        tiles = [self._recipe.tiles(x.picture.image).pixels_Bhwc for x in lessons]
        return Batch(tokens, seen=seen), np.concatenate(tiles)

    def _fill(self, example: Example, *rows: np.ndarray) -> None:
        count = min(len(example.tokens), self.length)
        ones = [1] * count
        for row, values in zip(rows, (example.tokens, example.loss_mask, ones), strict=True):
            row[:count] = values[:count]


class _OneTile:
    """A `text.sight.Sight` that opens no file: each picture is one tile."""

    def __init__(self, eyes: Eyes) -> None:
        self._processor = eyes.processor

    def expand(self, prompt: str, pictures: Sequence[chat.PicturePart]) -> str:
        """See the protocol."""
        return self._processor.expand(prompt, [Grid(1, 1) for _ in pictures])
