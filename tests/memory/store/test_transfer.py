"""Out to JSON Lines and in again."""

import json
import os
import random
import time

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.operations.records import PROCEDURE, Add, Delete, Update
from duomem_jax.memory.store.entry import Origin
from duomem_jax.records.dialogues import Turn

LATER = "2024-02-01T00:00:00Z"


@pytest.fixture
def exported(store, put, tmp_path):
    """The file of a store with all there is."""
    put(Add("Ann lives in Rome", "Ann", ("D1:1",), "before"), Add("Bob\u2028has a 🐕"), Add("gone"))
    put(Add("go to sink 1", kind=PROCEDURE, key="clean a cup"), owner="")
    put(Update(1, "Ann lives in Oslo", ("D2:1",)), Delete(2), happened=LATER)
    store.credit([1], success=True)
    store.forget(ids=[3, 4])
    put(Add("last"))
    store.forget(ids=[5])
    store.export(tmp_path / "a.jsonl")
    return tmp_path / "a.jsonl"


def test_there_and_back_is_equal_bit_for_bit(store, opened, put, exported, tmp_path):
    copy = opened("copy.sqlite")
    assert copy.import_(exported) == 2
    copy.check()
    copy.export(tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_bytes() == exported.read_bytes()
    assert copy.entries() == store.entries()
    assert [copy.history(i) for i in range(6)] == [store.history(i) for i in range(6)]
    at = "2024-01-15T00:00:00Z"
    assert copy.entries(at=at) == store.entries(at=at)
    assert copy.recall("Oslo") == store.recall("Oslo")
    assert (copy.vectors().vectors_ME == store.vectors().vectors_ME).all()
    put(Add("new"), into=copy)
    assert copy.entries()[-1].id == 6, "ids of what was forgotten are not given again"


def test_a_store_that_was_emptied_takes_an_export(opened, put, exported):
    copy = opened("copy.sqlite")
    put(*(Add(f"memory {i}") for i in range(9)), into=copy)
    assert len(copy.vectors().ids_M) == 9
    put(Add("more"), into=copy)
    copy.forget(who="ann")
    copy.import_(exported)
    assert copy.vectors().ids_M.tolist() == [e.id for e in copy.entries()]


def test_nothing_is_replaced(store, exported):
    before = exported.read_bytes()
    with pytest.raises(UserError, match="is there already"):
        store.export(exported)
    with pytest.raises(UserError, match="holds 2 memories"):
        store.import_(exported)
    assert exported.read_bytes() == before


def test_the_space_of_the_vectors_is_named(opened, exported):
    assert json.loads(exported.read_text().split("\n")[0])["embedder"] == "hashing-v1:512"
    other = opened("other.sqlite", embedder=HashingEmbedder(64))
    with pytest.raises(UserError, match=r"hashing-v1:512.*reindex"):
        other.import_(exported)
    assert len(other) == 0


def test_every_damaged_line_is_named_and_nothing_is_imported(opened, exported, tmp_path):
    whole = exported.read_bytes()
    copy = opened("copy.sqlite")
    rng, broken = random.Random(0), tmp_path / "broken.jsonl"
    for _ in range(150):
        place = rng.randrange(len(whole))
        bad = bytes([whole[place] ^ (1 << rng.randrange(8))])
        broken.write_bytes(whole[:place] + bad + whole[place + 1 :])
        with pytest.raises(UserError, match=r"broken\.jsonl: (line [123]:|format|\d memories|its)"):
            copy.import_(broken)
        assert len(copy) == 0
    for end in (0, 10, whole.index(b"\n") + 1, len(whole) - 5, whole.rindex(b"\n", 0, -1) + 1):
        broken.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"broken\.jsonl: "):
            copy.import_(broken)
    assert copy.import_(exported) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": 0}, "out of order"),
        ({"kind": "rumour"}, "kind"),
        ({"uses": -1}, "uses"),
        ({"versions": []}, "history"),
        ({"owner": 5}, "owner"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_line_that_was_edited_must_make_sense(opened, exported, change, why):
    header, first, *rest = exported.read_text().split("\n")
    memory = json.loads(first) | change
    del memory["crc32"]
    exported.write_text("\n".join([header, json.dumps(memory), *rest]))
    with pytest.raises(UserError, match=f"line 2: .*{why}"):
        opened("copy.sqlite").import_(exported)


def test_a_line_may_be_edited(opened, exported):
    text = exported.read_text().replace("Oslo", "Bergen")
    exported.write_text(text)
    copy = opened("copy.sqlite")
    with pytest.raises(UserError, match=r"line 2: .*crc32"):
        copy.import_(exported)
    header, first, *rest = text.split("\n")
    memory = json.loads(first)
    del memory["crc32"]
    exported.write_text("\n".join([header, json.dumps(memory), *rest]))
    copy.import_(exported)
    assert [f.entry.text for f in copy.recall("Bergen")] == ["Ann lives in Bergen"]


def test_equal_stores_in_every_time_zone(opened, tmp_path, monkeypatch):
    exports = set()
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        store = opened(f"{zone.replace('/', '-')}.sqlite")
        turns = [Turn("D1:1", "Ann", "I moved last Saturday")]
        store.remember(turns, at="2023-05-08T23:56:00-07:00", who="ann")
        store.apply([Update(1, "Ann moved")], Origin("x", "ann"))
        file = tmp_path / f"{zone.replace('/', '-')}.jsonl"
        store.export(file)
        exports.add(file.read_bytes())
    monkeypatch.undo()
    time.tzset()
    assert len(exports) == 1
    assert b"2023-05-09T06:56:00Z" in next(iter(exports))


def test_a_folder_or_nothing_is_refused(opened, tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="cannot be read"):
            opened().import_(path)
    assert os.listdir(tmp_path)
