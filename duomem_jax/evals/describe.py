"""What a report must be told about results of one sort, games or questions, to sum them up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from duomem_jax.records.results import Result


@dataclass(frozen=True)
class Column:
    """A mean over results, as a column of the table of subjects."""

    title: str
    value: Callable[[Result], float]
    form: str = "{:.1f}"  # for `str.format`


@dataclass(frozen=True)
class Remark:
    """A sentence under the table for each subject of which some results are special."""

    text: str  # with {count} in it
    applies: Callable[[Result], bool]


@dataclass(frozen=True)
class Description:
    """How results of one sort are summed up and told.

    Attributes:
        headline: name of the score, from 0 to 1, that is compared; names the picture's file.
        title: how tables call it, in per cent.
        axis: how pictures call it, in per cent.
        items: what is scored, in the plural.
        kind: what a kind of items is called.
        how_to_read: explanation under the tables, in Markdown.
        columns: further means, in the table of subjects.
        remarks: sentences under that table.
        kinds: short name of each kind, in the order of the columns; kinds that are not in it
            follow under their own names.
        cluster: what of a result is drawn together where its interval is taken by resampling.
    """

    headline: str
    title: str
    axis: str
    items: str
    kind: str
    how_to_read: str
    columns: tuple[Column, ...] = ()
    remarks: tuple[Remark, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    cluster: Callable[[Result], str] = lambda result: result.group

    def value(self, result: Result) -> float:
        """The score that is compared."""
        return result.scores[self.headline]
