"""Who is asked about a dialogue: the record that the command line fills."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import readable
from duomem_jax.base.ranges import Count, options
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.names import (
    ANSWER,
    EXTRACT,
    LOOK,
    OPERATIONS,
    PROMPTS,
    UPDATE,
    Name,
)
from duomem_jax.models.locate import model_path
from duomem_jax.speak.served.server import served_name

Shown = Literal["nothing", "recent", "whole", "turns", "facts", "memories", "evidence"]
STORED: tuple[Shown, ...] = ("turns", "facts", "memories")  # are found in a store


@options
class Assistant:
    """A model that answers questions about a dialogue, and what it is shown of it."""

    name: str  # in the report
    models: Annotated[Models, tyro.conf.arg(name="")]
    # Nothing; the last turns; all turns; what is found for the question, of the turns, of the facts
    # that a teacher would keep or of the memories that the model keeps; or the turns that the
    # answer is in.
    shown: Shown = "memories"
    tokens: Count = 400  # of what is shown, at most; `whole` and `evidence` show all there is
    embedder: str = DEFAULT_EMBEDDER  # of turns and memories
    # Of what is shown: looked at by a model that sees, where its keeper would; else captions alone.
    pictures: bool = False

    def __post_init__(self) -> None:
        # It goes into reports and pictures.
        object.__setattr__(self, "name", readable(self.name))
        if not self.models.model:
            raise UserError(f"{self.name}: no model to ask; give model")
        if self.models.look and not self.pictures:
            raise UserError("look: an expert of pictures, and none are shown; give pictures too")
        if self.pictures and self.shown not in ("evidence", *STORED):
            raise UserError(
                f"pictures: those of what is found are shown, and shown is {self.shown}; give "
                f"evidence, {', '.join(STORED)}, or omit pictures"
            )
        for name in (EXTRACT, UPDATE):
            if self.models.experts[name] and self.shown != "memories":
                raise UserError(
                    f"{name}: an expert of memories, and shown is {self.shown}; omit it"
                )

    def identity(self) -> dict[str, Any]:
        """The assistant with its folders replaced by what is in them; JSON.

        Raises:
            UserError: a folder is missing or damaged.
        """
        own: dict[str, Any] = {"name": self.name, "shown": self.shown, "tokens": self.tokens}
        if self.shown in STORED:
            own["embedder"] = make_embedder(self.embedder).name
        looks: tuple[Name, ...] = ()
        if self.pictures:
            own["pictures"], looks = True, (LOOK,)
        replies: tuple[Name, ...] = OPERATIONS if self.shown == "memories" else (ANSWER,)
        return own | self._replies((*replies, *looks))

    def remembering(self) -> dict[str, Any]:
        """What its memories depend on, beside the embedder; JSON.

        Raises:
            UserError: a folder is missing or damaged.
        """
        return self._replies((EXTRACT, UPDATE))

    def _replies(self, operations: Sequence[Name]) -> dict[str, Any]:
        """What the replies of some operations depend on."""
        prompts = {name: PROMPTS[name].sha256 for name in operations}
        return {"prompts": prompts, "models": self.models.identity(operations)}

    def counter(self) -> Callable[[str], int]:
        """What counts the tokens of a text."""
        if served_name(self.models.model):
            # Its tokenizer is not known; in English a token has about four letters.
            return lambda text: -(-len(text) // 4)
        from duomem_jax.text.tokenizer import load_tokenizer

        tokenizer = load_tokenizer(model_path(self.models.model))
        return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
