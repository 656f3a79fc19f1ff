"""Ways to show a history: what is asked with it, and which line a reply means."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from duomem_jax.experiments.written.histories import History
from duomem_jax.memory.operations.look import ASKED, PROMPT
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records import chat
from duomem_jax.records.chat import Chat, Part
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.worlds.pictures.note import Line
from duomem_jax.worlds.pictures.shapes import NUMBERS


class View(StrEnum):
    """How a history is shown."""

    WHOLE = "text"
    CUT = "text, as many tokens"  # as its picture: the latest lines
    DRAWN = "picture"
    # OCR-Memory's way (arXiv 2604.26622): the model says which line it is, and that is looked up.
    LOCATED = "picture, line looked up"

    @property
    def short(self) -> str:
        """What its folders are called."""
        return self.name.lower()

    @property
    def looks(self) -> bool:
        """Whether a picture is shown."""
        return self in (View.DRAWN, View.LOCATED)

    def question(self, line: Line) -> str:
        """What is asked to learn what a line says."""
        return f"On which line is {line.name}?" if self is View.LOCATED else line.asked.text

    def key(self, history: History, line: Line) -> str:
        """The right reply."""
        return NUMBERS[history.lines.index(line) + 1] if self is View.LOCATED else line.word


class Shower:
    """Shows histories to one model.

    Args:
        folder: of the model.
        eyes: of the model.
        files: pictures of all histories.
        example: any history.

    Attributes:
        budget: tokens that a picture takes, and so those that a text may.
    """

    def __init__(self, folder: str, eyes: Eyes, files: PictureFolder, example: History) -> None:
        tokenizer = load_tokenizer(folder)
        self._files = files
        self._ids: Callable[[str], list[int]] = lambda text: tokenizer(
            text, add_special_tokens=False
        )["input_ids"]
        drawn, empty = (
            [chat.user([part]), chat.assistant("")]
            for part in (self._picture(example), chat.text(""))
        )
        both = chat_tokens(tokenizer).conversations([drawn, empty], eyes)
        lengths = [len(one.tokens) for one in both]
        self.budget = lengths[0] - lengths[1]

    def chat(self, view: View, history: History, line: Line, *, stored: bool = False) -> Chat:
        """What a model is asked about a line.

        Args:
            view: how the history is shown.
            history: the history.
            line: one of its lines.
            stored: name the picture as demonstrations do, by its file's name alone.
        """
        prompt = PROMPT.fill(question=view.question(line))
        if view.looks:
            shown: Part = self._picture(history, stored)
        else:
            shown = chat.text(_text(self.lines(view, history)))
        return [chat.user([chat.text(f"{ASKED}\n"), shown, chat.text(f"\n{prompt}")])]

    def lines(self, view: View, history: History) -> Sequence[Line]:
        """Those that a view shows."""
        return self._latest(history.lines) if view is View.CUT else history.lines

    def _picture(self, history: History, stored: bool = False) -> Part:
        name = history.picture
        return chat.picture(name if stored else str(self._files.path(name)), name)

    def _latest(self, lines: Sequence[Line]) -> Sequence[Line]:
        """As many of the latest lines as fit."""
        first = len(lines)
        while first and len(self._ids(_text(lines[first - 1 :]))) <= self.budget:
            first -= 1
        return lines[first:]


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(line.text for line in lines)
