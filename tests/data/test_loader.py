"""The batch at a step depends on the seed and the step only, whatever the number of hosts."""

import itertools

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.data.loader import batches
from duomem_jax.data.rows import RowFormat, TargetFormat
from duomem_jax.objectives.targets import Needs
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.write import DatasetSpec, write_dataset

ROWS, T = 40, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")

    def make(keys):
        for key in keys:
            row = {
                "tokens": np.full(T, int(key), np.int32),
                "segment_ids": np.repeat([1, 2, 0, 0], T // 4).astype(np.uint8),
                "loss_mask": np.ones(T, np.uint8),
                "target_ids": np.full((T, 2), int(key), np.uint16),
                "target_log_probs": np.full((T, 2), -1, np.float16),
                "target_rest": np.full(T, -2, np.float16),
                "target_mask": np.ones(T, np.uint8),
            }
            yield key, [row], {}

    form = RowFormat(T, targets=TargetFormat(T, 2, 1000, "topk"))
    keys, spec = [f"{i:02d}" for i in range(ROWS)], DatasetSpec("examples", form.layout())
    for i in range(3):
        write_dataset(folder, keys, make, spec, Shard(i, 3))
    return folder


def take(folder, n, **kw):
    iterator = batches(folder, **({"global_batch": 8, "seed": 3} | kw))
    try:
        return [b.student.ids_BT[:, 0].tolist() for b in itertools.islice(iterator, n)]
    finally:
        iterator.close()


def test_each_epoch_holds_every_row_once_in_a_new_order(folder):
    seen = take(folder, 10)
    first, second = [*itertools.chain(*seen[:5])], [*itertools.chain(*seen[5:])]
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second
    assert first != sorted(first)


def test_seed_decides_the_order(folder):
    assert take(folder, 5) == take(folder, 5)
    assert take(folder, 5) != take(folder, 5, seed=4)


@pytest.mark.parametrize("start", [0, 3, 7, 1000])
def test_starting_at_a_step_equals_getting_there(folder, start):
    if start < 100:
        assert take(folder, 3, start_step=start) == take(folder, start + 3)[start:]
    assert take(folder, 4, start_step=start)[2:] == take(folder, 2, start_step=start + 2)


@pytest.mark.parametrize("hosts", [[[0], [1]], [[0, 2], [1, 3]], [[0, 1], [0, 1], [2, 3]]])
def test_global_batch_is_the_same_for_any_number_of_hosts(folder, hosts):
    whole = np.array(take(folder, 4, start_step=3))
    of = 1 + max(max(places) for places in hosts)
    for places in hosts:
        part = take(folder, 4, start_step=3, places=places, of=of)
        wanted = whole.reshape(4, of, -1)[:, places].reshape(4, -1)
        np.testing.assert_array_equal(part, wanted)


def test_stored_targets_come_along_where_they_are_needed(folder):
    iterator = batches(folder, global_batch=4, seed=0)
    batch = next(iterator)
    iterator.close()
    assert batch.stored.ids_BAC.dtype == np.int32
    np.testing.assert_array_equal(batch.stored.ids_BAC[:, 0, 0], batch.student.ids_BT[:, 0])
    positions = [*range(4), *range(4), *range(8)]
    np.testing.assert_array_equal(batch.student.positions_BT[0], positions)
    iterator = batches(folder, global_batch=4, seed=0, needs=Needs())
    assert next(iterator).stored is None
    iterator.close()


def test_fixed_size_rows_decode_as_tfds_decodes_them(folder):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(folder).as_data_source("train")
    for theirs, ours in zip(source, read_dataset(folder, "train"), strict=True):
        assert theirs.keys() == ours.keys()
        for name in theirs:
            assert theirs[name].dtype == ours[name].dtype
            np.testing.assert_array_equal(theirs[name], ours[name])


def test_batch_that_hosts_cannot_share_is_refused(folder):
    with pytest.raises(UserError, match="global_batch=6 cannot be shared out to 4"):
        batches(folder, global_batch=6, seed=0, of=4)


def test_empty_split_is_refused(tmp_path):
    write_dataset(tmp_path, [], lambda keys: (), DatasetSpec("examples", RowFormat(T).layout()))
    with pytest.raises(UserError, match="has no rows"):
        batches(tmp_path, global_batch=1, seed=0)
