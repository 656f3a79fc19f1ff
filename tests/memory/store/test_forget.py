"""What is forgotten is found nowhere, and everything else is."""

import base64
import random
import sqlite3
import subprocess
import sys
import time

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.records import PROCEDURE, Add, Delete, Update
from duomem_jax.memory.store import erase
from duomem_jax.memory.store.entry import Origin
from duomem_jax.records.dialogues import Turn

WINDOW = 10  # letters; SQLite's index shares shorter beginnings of words that follow each other


def sentinel(seed):
    """A random word; in nothing else."""
    return "".join(random.Random(seed).choices("bcdfghjklmnpqrstvwxz", k=24))


def traces(folder, word):
    """Files that hold a part of a word, in any encoding that may be met."""
    parts = [word[i : i + WINDOW] for i in range(len(word) - WINDOW + 1)]
    forms = {part.encode(code) for part in parts for code in ("utf-8", "utf-16-le", "utf-16-be")}
    forms |= {part.upper().encode() for part in parts}
    forms |= {base64.b64encode(word.encode())[3:-3], word.encode().hex().encode()}
    forms |= {form[::-1] for form in forms}
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    return {name for name, data in contents.items() if any(form in data for form in forms)}


@pytest.fixture
def filled(store, put):
    """A store whose memories have been moved about, a sentinel in every place one can be in."""
    gone, stays = sentinel(1), sentinel(2)
    put(*(Add(f"memory {i} {'x' * (i % 700)}") for i in range(300)), owner="crowd")
    put(
        Add(f"Ann said {gone}", f"Ann{gone}", (f"D{gone}",), context=f"before: {gone}"),
        Add("script", kind=PROCEDURE, key=f"key {gone}"),
        owner="ann",
    )
    origin = Origin(f"w{gone}", "ann", f"s{gone}", note=f"n{gone}")
    store.apply([Update(301, f"Ann wrote {gone}", (f"E{gone}",)), Add(f"later {gone}")], origin)
    store.apply([Delete(301)], Origin("w", "ann"))
    put(Add(f"Bob said {stays}"), owner="bob")
    put(*(Delete(i) for i in range(1, 300, 3)), owner="crowd", happened="2024-03-01T00:00:00Z")
    return store, gone, stays


@pytest.mark.parametrize("how", [{"who": "ann"}, {"ids": [301, 302, 303]}], ids=["who", "ids"])
def test_nothing_is_left(filled, tmp_path, how):
    store, gone, stays = filled
    assert traces(tmp_path, gone), "the search finds what is there"
    assert store.forget(**how) == [301, 302, 303]
    assert traces(tmp_path, gone) == set()
    assert "store.sqlite" in traces(tmp_path, stays), "the search finds what stays"
    assert [f.entry.text for f in store.recall(stays)] == [f"Bob said {stays}"]
    assert store.history(301) == []
    assert store.recall(gone) == []
    store.check()
    store.close()
    assert traces(tmp_path, gone) == set()


def test_the_context_of_the_next_turn_loses_it(store, tmp_path):
    gone, short = sentinel(3), "Yes!"
    store.remember(
        [
            Turn("1", "Ann", gone),
            Turn("2", "Bob", "Really?"),
            Turn("3", "Ann", short),
            Turn("4", "Bob", "Fine"),
        ]
    )
    assert {f.entry.id for f in store.recall(gone)} == {1, 2, 3}
    store.forget(ids=[1, 3])
    assert traces(tmp_path, gone) == set()
    assert store.recall(gone) == []
    assert [e.context.split("\n") for e in store.entries()] == [
        ["Ann: ", "Ann: ", "Bob: Fine", "1 May 2024"],
        ["Bob: Really?", "Ann: ", "1 May 2024"],
    ]
    store.check()


def test_before_a_time(store, put):
    put(Add("old"), Add("renewed"), happened="2024-01-01T00:00:00Z")
    put(Update(2, "renewed now"), Add("new"), happened="2024-02-01T00:00:00Z")
    put(Add("old too"), owner="bob")
    assert store.forget(before="2024-02-01T00:00:00Z", who="ann") == [1]
    assert [e.text for e in store.entries()] == ["renewed now", "new", "old too"]


def test_forgetting_everything_must_be_said(store):
    with pytest.raises(UserError, match="ids, who or before"):
        store.forget()


def test_what_was_forgotten_can_be_added_again(store, put):
    put(Add("Ann lives in Rome"))
    assert store.forget(ids=[1, 99]) == [1]
    assert put(Add("Ann lives in Rome")) == ["added"]
    assert len(store.recall("Rome")) == 1


def test_others_no_longer_find_it(opened, store, put):
    put(Add("Ann lives in Rome"), Add("Bob lives in Rome"))
    other = opened()
    assert len(other.recall("Rome")) == len(other.vectors().ids_M) == 2
    store.forget(ids=[1])
    assert [f.entry.id for f in other.recall("Rome")] == [2]
    assert other.vectors().ids_M.tolist() == [2]


def test_a_reader_of_the_old_state_is_waited_for(filled, tmp_path):
    store, gone, _ = filled
    # In another process, which holds on to what it saw for a while.
    program = (
        "import sqlite3, sys, time; d = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "d.execute('BEGIN'); d.execute('SELECT count(*) FROM versions').fetchone(); "
        "print('reading', flush=True); time.sleep(1.5)"
    )
    path = tmp_path / "store.sqlite"
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        started = time.monotonic()
        store.forget(who="ann")
        assert time.monotonic() - started > 1
    assert traces(tmp_path, gone) == set()


def test_a_reader_that_stays_is_named_and_the_next_to_open_completes_it(
    filled, opened, tmp_path, monkeypatch
):
    store, gone, _ = filled
    monkeypatch.setattr(erase, "BUSY_SECONDS", 0.2)
    store._database._connection.execute("PRAGMA busy_timeout = 100")
    reader = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM versions").fetchone()
    with pytest.raises(UserError, match=r"erased, but .* open the store again"):
        store.forget(who="ann")
    assert store.recall(gone) == []
    assert traces(tmp_path, gone)
    reader.close()
    opened()
    assert traces(tmp_path, gone) == set()
