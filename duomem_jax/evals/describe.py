"""What a report must be told about results of one sort, games or questions, to sum them up."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from duomem_jax.records.results import Result


@dataclass(frozen=True)
class Column:
    """A mean over results, as a column of the table of subjects.

    Attributes:
        title: of the column.
        value: of a result; None where it has none, which is left out of the mean.
        form: for `str.format`.
        cost: whether it is what an item takes, which has a picture of its own.
    """

    title: str
    value: Callable[[Result], float | None]
    form: str = "{:.1f}"
    cost: bool = False


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
        over: title of the column over which the headline has a picture; "" for none.
        apart: kinds that have a column among the kinds and count nowhere else.
        cluster: what of a result is drawn together where its interval is taken by resampling.
        same_seeds: whether a seed stands for the same in all subjects, such as for what they learn
            from; differences then draw it for both together.
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
    over: str = ""
    apart: frozenset[str] = frozenset()
    cluster: Callable[[Result], str] = lambda result: result.group
    same_seeds: bool = False

    def counted(self, rows: Iterable[Result]) -> list[Result]:
        """The results that the headline, the means and the differences are of."""
        return [row for row in rows if row.kind not in self.apart]

    def value(self, result: Result) -> float:
        """The score that is compared."""
        return result.scores[self.headline]
