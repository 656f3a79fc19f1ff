"""Datasets that survive kills, refuse strangers, notice damage, and that TFDS reads."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.records.store.manifest import split_facts
from duomem_jax.records.store.reader import RecordReader, read_dataset
from duomem_jax.records.store.write import DatasetSpec, ShardWriter, write_dataset

LAYOUT = {
    "name": "text",
    "n": "int64",
    "ok": "bool",
    "vector": ("float16", (None, 2)),
    "tags": ["text"],
    "steps": [{"a": "text", "b": "text"}],
}
KEYS = [f"k{i:03d}" for i in range(23)]


def record(key):
    n = int(key[1:])
    return {
        "name": f"é{key}",
        "n": n,
        "ok": n % 2 == 0,
        "vector": np.full((n % 3, 2), n, np.float16),
        "tags": [f"t{j}" for j in range(n % 3)],
        "steps": [{"a": f"a{j}", "b": ""} for j in range(n % 4)],
    }


def make(keys):
    for key in keys:
        yield key, [record(key)], {"twice": 2}


def spec(**changes):
    return DatasetSpec(**({"name": "things", "layout": LAYOUT, "config": {"x": 1}} | changes))


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Written in one go, two shards."""
    folder = tmp_path_factory.mktemp("whole")
    for i in (0, 1):
        report = write_dataset(folder, KEYS, make, spec(), Shard(i, 2))
    assert report.status == "written"
    return folder


def test_reader_gives_back_what_was_written(whole):
    rows = read_dataset(whole, "train")
    assert len(rows) == len(KEYS)
    for row, key in zip(rows, sorted(KEYS)[::2] + sorted(KEYS)[1::2], strict=True):
        expected = record(key)
        steps = expected.pop("steps")
        assert row.pop("steps") == {n: [s[n] for s in steps] for n in ("a", "b")}
        np.testing.assert_array_equal(row.pop("vector"), expected.pop("vector"))
        assert row == expected


def test_tfds_reads_the_folder_without_tensorflow(whole):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(whole).as_data_source("train")
    rows = read_dataset(whole, "train")
    assert len(source) == len(rows)
    for theirs, ours in zip(source, rows, strict=True):
        assert theirs["name"].decode() == ours["name"]
        assert [t.decode() for t in theirs["tags"]] == ours["tags"]
        np.testing.assert_array_equal(theirs["vector"], ours["vector"])
        assert (theirs["n"], theirs["ok"]) == (ours["n"], ours["ok"])
    assert "tensorflow" not in sys.modules


def test_order_of_finishing_and_interruption_do_not_matter(whole, tmp_path):
    for i in (1, 0):
        with ShardWriter(tmp_path, spec(), Shard(i, 2)) as writer:
            for unit in list(make(sorted(KEYS)[i::2]))[:3:-1]:
                writer.add(*unit)
        seen = []

        def rest(keys, seen=seen):
            seen += keys
            yield from make(reversed(keys))

        write_dataset(tmp_path, KEYS, rest, spec(), Shard(i, 2))
        assert len(seen) == 4
    assert files(tmp_path) == files(whole)
    assert not (tmp_path / ".work").exists()


def test_killed_writer_loses_at_most_the_unit_at_hand(whole, tmp_path):
    code = """
import os, sys
sys.path[:0] = [sys.argv[2]]
from test_store import KEYS, make, spec
from duomem_jax.base.shard import Shard
from duomem_jax.records.store.write import write_dataset
def slow(keys):
    for n, unit in enumerate(make(keys)):
        if n == 7:
            print("seven", flush=True)
            sys.stdin.read()
        yield unit
write_dataset(sys.argv[1], KEYS, slow, spec(), Shard(0, 2))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), os.path.dirname(__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"seven\n"
    with pytest.raises(UserError, match="another process is writing"):
        ShardWriter(tmp_path, spec(), Shard(0, 2))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with pytest.raises(UserError, match="not complete"):
        read_dataset(tmp_path, "train")
    with ShardWriter(tmp_path, spec(), Shard(0, 2)) as writer:
        assert sum(key in writer for key in KEYS) == 7
    for i in (0, 1):
        write_dataset(tmp_path, KEYS, make, spec(), Shard(i, 2))
    assert files(tmp_path) == files(whole)


def test_finished_dataset_is_left_alone(whole):
    before = files(whole)
    report = write_dataset(whole, KEYS, lambda keys: 1 / 0, spec(), Shard(0, 2))
    assert report.status == "already complete"
    assert report.records == len(KEYS)
    assert report.counts == {"twice": 2 * len(KEYS)}
    assert files(whole) == before


def test_waiting_shard_names_the_others(tmp_path):
    report = write_dataset(tmp_path, KEYS, make, spec(), Shard(1, 3))
    assert report.status == "waiting"
    assert "0/3, 2/3" in report.message


def test_splits_live_side_by_side_and_shards_may_be_empty(tmp_path):
    import tensorflow_datasets as tfds

    write_dataset(tmp_path, KEYS, make, spec(), Shard(0, 1))
    for i in range(3):
        write_dataset(tmp_path, KEYS[:2], make, spec(split="valid_seen", seed=4), Shard(i, 3))
    assert len(read_dataset(tmp_path, "train")) == len(KEYS)
    assert len(read_dataset(tmp_path, "valid_seen")) == 2
    builder = tfds.builder_from_directory(tmp_path)
    assert [r["n"] for r in builder.as_data_source("valid_seen")] == [0, 1]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["splits"]["valid_seen"]["seed"] == 4
    with pytest.raises(UserError, match="other fields"):
        write_dataset(tmp_path, [], make, spec(split="test", layout={"n": "int64"}))


@pytest.mark.parametrize(
    ("changes", "shard", "message"),
    [
        ({"config": {"x": 2}}, Shard(0, 2), r"config\.x=1, not 2"),
        ({"config": {"x": 1, "y": 0}}, Shard(0, 2), r"config\.y=None, not 0"),
        ({"config": {}}, Shard(0, 2), r"config\.x=1, not None"),
        ({"seed": 3}, Shard(0, 2), "seed=0, not 3"),
        ({"source": {"games": "b"}}, Shard(0, 2), r"source\.games=None, not 'b'"),
        ({"name": "others"}, Shard(0, 2), "'things', not 'others'|name='things', not 'others'"),
        ({}, Shard(0, 3), "shards=2, not 3"),
    ],
)
def test_folder_of_another_config_is_refused(whole, tmp_path, changes, shard, message):
    write_dataset(tmp_path, KEYS, make, spec(), Shard(1, 2))
    with pytest.raises(UserError, match=message):
        ShardWriter(tmp_path, spec(**changes), shard)
    if changes:
        with pytest.raises(UserError, match=message):
            ShardWriter(whole, spec(**changes), shard)


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="empty output folder"):
        ShardWriter(tmp_path, spec())


def test_missing_units_are_kept_for_the_next_run(tmp_path):
    with pytest.raises(UserError, match="3 of 23 units are missing, first 'k020'"):
        write_dataset(tmp_path, KEYS, lambda keys: make(keys[:20]), spec())
    seen = []
    write_dataset(tmp_path, KEYS, lambda keys: (seen.extend(keys), make(keys))[1], spec())
    assert seen == KEYS[20:]


@pytest.fixture
def copy(whole, tmp_path):
    for name, data in files(whole).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


SHARD = "things-train.array_record-00001-of-00002"


def test_cut_shard_is_noticed(copy):
    data = (copy / SHARD).read_bytes()
    (copy / SHARD).write_bytes(data[:-1000])
    with pytest.raises(UserError, match=f"{SHARD}: .* bytes where .*copy it again"):
        read_dataset(copy, "train")


def test_missing_shard_is_noticed(copy):
    (copy / SHARD).unlink()
    with pytest.raises(UserError, match=f"{SHARD}: missing"):
        read_dataset(copy, "train")


def test_changed_shard_is_noticed(copy):
    data = bytearray((copy / SHARD).read_bytes())
    data[400] ^= 1
    (copy / SHARD).write_bytes(data)
    with pytest.raises(UserError, match=f"{SHARD}: content differs from the hash"):
        read_dataset(copy, "train")


def test_damage_that_escaped_the_check_is_a_sentence_too(copy):
    data = bytearray((copy / SHARD).read_bytes())
    for at in range(300, 2500, 7):
        data[at] ^= 0x5A
    (copy / SHARD).write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        list(RecordReader(copy, "train", split_facts(copy, "train")))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}'])
def test_damaged_manifest_is_a_sentence(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        read_dataset(copy, "train")


def test_unknown_split_and_folder_are_sentences(whole, tmp_path):
    with pytest.raises(UserError, match="no complete split 'test', only train"):
        read_dataset(whole, "test")
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        read_dataset(tmp_path / "none", "train")


def test_full_disk_is_a_sentence(tmp_path, monkeypatch):
    from array_record.python import array_record_module

    def full(*args):
        raise RuntimeError("write() failed: No space left on device; writing x; at byte 0")

    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", full)
    with pytest.raises(UserError, match="the disk is full"):
        write_dataset(tmp_path, KEYS, make, spec())


def test_shard_out_of_range_is_refused(tmp_path):
    with pytest.raises(UserError, match="shard 2/2"):
        ShardWriter(tmp_path, spec(), Shard(2, 2))
