"""The file: what is refused, what a damaged one leads to, what is loaded to open it."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import duomem_jax
from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.operations.records import Add, Delete, Update
from duomem_jax.memory.store import schema
from duomem_jax.memory.store.store import Store


def test_a_database_of_somebody_else_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"other\.sqlite: a database, but not a store"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 100)
    with pytest.raises(UserError, match=r"notes\.txt"):
        Store.open(path)
    assert path.read_text() == "my notes " * 100


def test_a_store_of_a_later_version_is_refused(opened, tmp_path):
    opened().close()
    database = sqlite3.connect(tmp_path / "store.sqlite")
    database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(UserError, match=f"format {schema.VERSION + 1}"):
        opened()


@pytest.mark.parametrize("place", ["", "gs://bucket/store"])
def test_a_place_that_cannot_be_is_refused(tmp_path, place):
    with pytest.raises(UserError, match=r".+"):
        Store.open(place or tmp_path)


def test_a_missing_store_is_made_or_refused(tmp_path, opened):
    with pytest.raises(UserError, match="no store of memories is there"):
        Store.open(tmp_path / "typo" / "store.sqlite", make=False)
    assert not (tmp_path / "typo").exists()
    opened()
    assert len(opened(make=False)) == 0


def test_an_empty_store_answers(store):
    assert store.recall("dog") == []
    assert store.entries() == store.owners() == store.history(1) == []
    assert store.get(1) is None
    assert [len(x) for x in store.vectors()] == [0, 0]
    assert [len(x) for x in store.vectors(who="ann", at="2024-01-01T00:00:00Z")] == [0, 0]
    assert store.forget(who="ann") == []
    assert store.remember([]) == []


def test_an_empty_file_becomes_a_store(opened, tmp_path):
    (tmp_path / "store.sqlite").touch()
    assert len(opened()) == 0


def test_a_store_without_vectors_takes_any_embedder(opened, put):
    opened()
    store = opened(embedder=HashingEmbedder(8))
    assert put(Add("Ann lives in Rome"), into=store) == ["added"]
    assert store.vectors().vectors_ME.shape == (1, 8)


def test_another_embedder_is_refused_until_reindexed(opened, put):
    store = opened(embedder=HashingEmbedder(64))
    put(Add("Ann lives in Rome"), Add("Bob has a dog"), into=store)
    with pytest.raises(UserError, match="reindex"):
        opened(embedder=HashingEmbedder(32))
    other = opened()  # the default takes the size of the file
    assert put(Add("third"), into=other) == ["added"]
    other.reindex(HashingEmbedder(32))
    assert other.vectors().vectors_ME.shape == (3, 32)
    # Who has it open with the one before must not mix the two.
    for action in (lambda: put(Add("more"), into=store), store.vectors):
        with pytest.raises(UserError, match="hashing-v1:32"):
            action()
    assert put(Add("more"), into=opened(embedder=HashingEmbedder(32))) == ["added"]


def test_others_take_up_new_vectors_of_one_width(opened, put):
    class Reversed(HashingEmbedder):
        def embed(self, texts):
            return super().embed(texts)[:, ::-1]

    store, other = opened(embedder=HashingEmbedder(64)), opened()
    put(Add("Ann lives in Rome"), into=store)
    before = other.vectors().vectors_ME
    store.reindex(Reversed(64))
    for reader in (store, other):
        assert (reader.vectors().vectors_ME == before[:, ::-1]).all()


def test_a_store_is_readable_without_its_embedder(opened, put):
    class Served(HashingEmbedder):
        def __init__(self):
            super().__init__(16)
            self.name = "openai:some-model"

    put(Add("Ann lives in Rome"), into=opened(embedder=Served()))
    store = opened()
    assert [f.entry.text for f in store.recall("Rome")] == ["Ann lives in Rome"]
    assert store.vectors().vectors_ME.shape == (1, 16)
    assert put(Add("Ann lives in Rome"), into=store) == ["kept"]
    with pytest.raises(UserError, match="embedder="):
        put(Add("Bob has a dog"), into=store)
    store.reindex(HashingEmbedder(8))
    assert put(Add("Bob has a dog"), into=store) == ["added"]


def test_a_fork_is_refused(store):
    child = os.fork()
    if child == 0:
        try:
            len(store)
        except UserError:
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_opening_loads_neither_jax_nor_transformers(tmp_path):
    program = (
        "import sys; from duomem_jax.memory.store.store import Store; "
        "from duomem_jax.records.dialogues import Turn; "
        "s = Store.open(sys.argv[1]); s.remember([Turn('1', 'Ann', 'a dog')]); s.recall('dog'); "
        "print({'jax', 'flax', 'transformers', 'tensorflow_datasets'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "s"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(duomem_jax.__file__).parents[1],
    )
    assert done.stdout == "set()\n"


def test_a_damaged_byte_is_found_or_harmless(opened, store, put, tmp_path):
    """Each byte in turn of the pages that hold texts: the same memories, or one sentence."""
    put(Add("Ann lives in Rome", "Ann", ("D1:1",)), Add("Bob has a dog"))
    put(Update(1, "Ann lives in Oslo"), Delete(2))
    expected = store.entries(), store.history(1), store.history(2)
    store.close()
    whole = (tmp_path / "store.sqlite").read_bytes()
    copy, seen = tmp_path / "copy.sqlite", set()
    places = [whole.index(b"Ann lives in Rome"), whole.index(b"Ann lives in Oslo")]
    for place in (p for start in places for p in range(start - 40, start + 80, 3)):
        copy.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        try:
            with Store.open(copy) as damaged:
                damaged.check()
                found = damaged.entries(), damaged.history(1), damaged.history(2)
        except UserError:
            seen.add("refused")
            continue
        seen.add("same")
        assert found == expected, place
    assert "refused" in seen
