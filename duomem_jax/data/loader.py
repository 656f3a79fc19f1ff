"""Batches of packed rows as a pure function of the step.

The global batch at step k is the same, row for row, for any number of hosts, so a run resumes on
another slice size from the step number alone.
"""

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from duomem_jax.base.errors import UserError
from duomem_jax.data.pictures import StoredPictures
from duomem_jax.data.rows import batch_of
from duomem_jax.objectives import Batch
from duomem_jax.objectives.targets import EVERYTHING, Needs
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import PICTURES, ROWS, SPLIT

if TYPE_CHECKING:
    import grain

# Measured on two cores: more threads only contend; zero would read in the step's way.
NUM_THREADS = 2
PREFETCH_BATCHES = 4


def batches(
    folder: str | os.PathLike,
    *,
    global_batch: int,
    seed: int,
    start_step: int = 0,
    places: Sequence[int] = (0,),
    of: int = 1,
    needs: Needs = EVERYTHING,
    pictures: StoredPictures | None = None,
) -> "grain.DatasetIterator[Batch]":
    """Endless shuffled batches from step `start_step` on; a new order in each epoch.

    Args:
        folder: packed rows, from `duomem examples` or `duomem label`.
        global_batch: rows over all hosts.
        seed: of the order.
        start_step: batches to pass over.
        places: the parts of every global batch that are wanted here, out of `of` equal ones.
        of: how many parts there are.
        needs: which parts of rows are read besides the student's tokens.
        pictures: that the rows show.

    Returns:
        Iterator (close it with `.close()`) of the wanted rows, in order, numpy arrays [B,...] with
        B = global_batch * len(places) / of.

    Raises:
        UserError: the rows are missing, damaged or empty, or show pictures that are not given; or
            the batch cannot be shared out.
    """
    # Here, so that commands that read no rows need not wait for the import.
    import grain

    if global_batch % of:
        raise UserError(
            f"global_batch={global_batch} cannot be shared out to {of} places; "
            "make it a multiple of them"
        )
    rows = read_dataset(folder, SPLIT, ROWS)
    if not len(rows):
        raise UserError(f"{folder}: has no rows; check the stage that wrote it")
    if pictures is None and PICTURES in rows.facts["config"]:
        raise UserError(
            f"{folder}: its rows show pictures, which only training reads (field pictures); give "
            "rows of text"
        )
    # Random access, not a stream: step k is looked up, so a resumed run reads nothing of the steps
    # before it.
    order = grain.MapDataset.range(len(rows)).seed(seed).shuffle().repeat()
    size = global_batch // of
    # Each part is a run of neighbouring rows, as `mesh.sharding.put_batch` lays them on devices.
    wanted = [place * size + i for place in places for i in range(size)]
    dataset = (
        grain.MapDataset.source(_Wanted(rows, order, global_batch, wanted))
        # Stacked first: `batch_of` then works on whole arrays, once a batch instead of once a row.
        .batch(len(wanted), drop_remainder=True)
        .map(functools.partial(batch_of, needs=needs))
    )
    if pictures is not None:
        dataset = dataset.map(pictures.shown)
    options = grain.ReadOptions(num_threads=NUM_THREADS, prefetch_buffer_size=PREFETCH_BATCHES)
    iterator = iter(dataset.to_iter_dataset(options))
    # After batching, one item is one step: this is all the state that there is.
    iterator.set_state({"next_index": start_step})
    return iterator


# Not grain's slicing by process (`dataset[i::n]`): it deals rows out by host, so their order in the
# global batch would change with the number of hosts.
class _Wanted:
    """The rows of one host as a random-access source: those `wanted` of each global batch."""

    def __init__(
        self, rows: Sequence[Any], order: Sequence[int], global_batch: int, wanted: list[int]
    ):
        self._rows, self._order = rows, order
        self._global_batch, self._wanted = global_batch, wanted

    def __len__(self) -> int:
        # Endless in effect: `repeat()` gives `order` the length sys.maxsize.
        return len(self._order) // self._global_batch * len(self._wanted)

    def __getitem__(self, index: int) -> Any:
        step, i = divmod(index, len(self._wanted))
        return self._rows[self._order[step * self._global_batch + self._wanted[i]]]
