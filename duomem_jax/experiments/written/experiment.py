"""What an experiment with written histories is: a model that sees, histories, its experts."""

import dataclasses
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Count, Few, Length, Seed, options
from duomem_jax.experiments.written.views import View
from duomem_jax.records.pictures import FOLDER, PictureFolder
from duomem_jax.speak.open import Local
from duomem_jax.train.config import TrainConfig
from duomem_jax.worlds.pictures.note import MOST


@options
class Written:
    """Histories of a few lines, read as text or looked at as one picture.

    An expert is trained for each way to show them, and asked about histories that it has not seen.
    """

    title: str
    output: str  # folder for everything
    model: str  # that sees: Hugging Face folder or hub id
    train: TrainConfig  # of an expert; what it reads and writes, and its seed, are filled in
    lines: tuple[Count, ...] = (3, 6, 9)  # of a history
    learnt: Count = 200  # histories of each number of lines that experts learn from
    asked: Count = 40  # others, which they are asked about
    length: Length = 512  # tokens of a row that is learnt from
    local: Local = Local()  # how the model is held that is asked
    seeds: tuple[Seed, ...] = (0,)  # of training
    workers: Few = 1  # experts trained, and asked, side by side

    def __post_init__(self) -> None:
        if not self.lines or sorted({*self.lines}) != [*self.lines] or self.lines[-1] > MOST:
            raise UserError(f"lines is {self.lines}; give numbers that increase, up to {MOST}")

    @property
    def files(self) -> PictureFolder:
        """The pictures of all histories."""
        return PictureFolder(Path(self.output) / FOLDER)

    @property
    def seen(self) -> str:
        """Folder of what the model sees in those that are learnt from."""
        return str(Path(self.output) / "seen")

    def training(self, view: View, seed: int) -> TrainConfig:
        """How the expert of a view is trained."""
        folder = Path(self.output) / "experts" / view.short
        return dataclasses.replace(
            self.train,
            base=self.model,
            data=str(folder / "rows"),
            pictures=self.seen if view.looks else "",
            output=str(folder / f"seed{seed}"),
            seed=seed,
        )
