"""Pictures of memories: kept with who shared them, found with them, and erased with them."""

import hashlib
import sqlite3

import pytest
from PIL import Image

from duomem_jax.base.errors import UserError
from duomem_jax.memory.maintain import POLICIES, maintain_store
from duomem_jax.memory.operations.records import Add, Update
from duomem_jax.memory.store.change import Step
from duomem_jax.memory.store.entry import Origin, Shared
from duomem_jax.memory.store.rows import CONTENT, checksum
from duomem_jax.memory.store.schema import VERSION
from duomem_jax.records.dialogues import Turn

AT = "2024-01-01T00:00:00Z"


@pytest.fixture
def files(tmp_path):
    """Two pictures, by their colours."""
    made = {}
    for colour in ("red", "blue"):
        made[colour] = tmp_path / f"{colour}.png"
        Image.new("RGB", (8, 8), colour).save(made[colour])
    return made


def name(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tell(store, text, file=None, turn="D1:1", who="ann", at=AT):
    """Remember one turn of Ann's."""
    pictures = {turn: file} if file else {}
    return store.remember([Turn(turn, "Ann", text)], at=at, who=who, pictures=pictures)


def held(store):
    folder = store.pictures.folder
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_memory_says_which_picture_who_and_in_which_turn(store, files):
    tell(store, "My new car!", files["red"])
    tell(store, "It rains.", turn="D1:2")
    first, second = store.entries()
    assert first.pictures == (Shared("D1:1", "Ann", name(files["red"])),)
    assert first.happened == AT
    assert second.pictures == ()
    files["red"].unlink()
    with Image.open(store.pictures.path(first.pictures[0].sha256)) as kept:
        assert kept.getpixel((0, 0)) == (255, 0, 0)
    assert store.history(first.id)[0].pictures == first.pictures
    store.check()


def test_a_picture_without_words_is_remembered(store, files):
    tell(store, "", files["red"])
    assert [entry.text for entry in store.entries()] == ["[shares a picture]"]


def test_the_same_words_with_another_picture_are_another_memory(store, files):
    same = [tell(store, "Look!", files[c])[0].status for c in ("red", "blue", "red")]
    assert same == ["added", "added", "kept"]
    assert len(held(store)) == 2


def test_what_is_no_picture_is_refused_and_nothing_is_kept(store, files, tmp_path):
    (tmp_path / "words.png").write_text("no picture")
    for file, why in (("words.png", "is no picture"), ("gone.png", "cannot be read")):
        with pytest.raises(UserError, match=rf"{file}: {why}"):
            tell(store, "Look!", tmp_path / file)
    with pytest.raises(UserError, match="shared in no turn '9'"):
        store.remember([Turn("1", "Ann", "Look!")], pictures={"9": files["red"]})
    assert len(store) == 0
    assert not store.pictures.folder.exists()


def test_an_update_has_the_pictures_of_its_own_turns(store, files):
    tell(store, "My car is red", files["red"])
    tell(store, "My car is blue", files["blue"], turn="D2:1")
    (one, two) = store.entries()
    origin = [Step(Update(one.id, "Ann's car is old"), _origin(store))]
    store.apply_steps(origin)
    assert store.get(one.id).pictures == one.pictures, "no turn says so, so it is a correction"
    other = Step(Update(one.id, "It is blue", ("D2:1",)), _origin(store), pictures=two.pictures)
    store.apply_steps([other])
    assert store.get(one.id).pictures == two.pictures
    assert store.get(one.id, at=AT).pictures == two.pictures
    assert [v.pictures for v in store.history(one.id)][:2] == [one.pictures] * 2


def _origin(store):
    return Origin("me", "ann", happened=AT)


def test_a_picture_is_erased_with_the_last_memory_that_has_it(store, files):
    tell(store, "My car", files["red"])
    tell(store, "The car again", files["red"], turn="D1:2")
    tell(store, "The sea", files["blue"], turn="D1:3")
    store.forget(ids=[1])
    assert held(store) == {name(files["red"]), name(files["blue"])}
    store.forget(ids=[2])
    assert held(store) == {name(files["blue"])}
    store.forget(who="ann")
    assert not store.pictures.folder.exists()


def test_erasing_that_was_killed_before_the_pictures_is_completed(store, opened, files):
    tell(store, "My car", files["red"])
    orphan = store.pictures.keep(files["blue"].read_bytes())
    store.close()
    database = sqlite3.connect(store.path)
    database.execute("UPDATE state SET residue = 1")
    database.commit()
    database.close()
    assert held(opened()) == {name(files["red"])}
    assert orphan == name(files["blue"])


def test_memories_of_different_pictures_are_not_merged(store, files):
    for i, colour in enumerate(("red", "blue", "red")):
        text = f"Look at the nice new car of my family in the street{'!' * i}"
        tell(store, text, files[colour], turn=f"D1:{i}")
    maintain_store(store, POLICIES["duplicates"], store.now())
    left = store.entries()
    assert sorted(e.pictures[0].sha256 for e in left) == sorted(map(name, files.values()))


def test_pictures_go_out_and_in_with_the_memories(store, opened, files, tmp_path):
    tell(store, "My car", files["red"])
    tell(store, "The sea", turn="D1:2")
    store.export(tmp_path / "a.jsonl")
    copy = opened("copy.sqlite")
    copy.import_(tmp_path / "a.jsonl")
    copy.check()
    assert copy.entries() == store.entries()
    copy.export(tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()
    assert tell(copy, "My car", files["red"])[0].status == "kept"
    with pytest.raises(UserError, match="is there already"):
        store.export(tmp_path / "a.jsonl")


def test_without_its_picture_nothing_goes_out_or_in(store, opened, files, tmp_path):
    tell(store, "My car", files["red"])
    store.export(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl.pictures" / name(files["red"])).unlink()
    copy = opened("copy.sqlite")
    with pytest.raises(UserError, match="no such picture"):
        copy.import_(tmp_path / "a.jsonl")
    assert len(copy) == 0
    assert not copy.pictures.folder.exists()
    store.pictures.forget(name(files["red"]))
    for use in (store.check, lambda: store.export(tmp_path / "c.jsonl")):
        with pytest.raises(UserError, match="no such picture"):
            use()
    assert not list(tmp_path.glob("c.jsonl*"))


def test_a_store_of_the_first_format_is_brought_up_to_date(store, opened, put, files):
    put(Add("Ann lives in Rome", "Ann", ("D1:1",)), Add("damaged"))
    store.close()
    database = sqlite3.connect(store.path)
    before = [column for column in CONTENT if column != "pictures"]
    for row, *values in database.execute(
        f"SELECT row, {', '.join(before)} FROM versions"
    ).fetchall():
        old = checksum(values) + (row == 2)
        database.execute("UPDATE versions SET crc32 = ? WHERE row = ?", (old, row))
    database.execute("ALTER TABLE versions DROP COLUMN pictures")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    again = opened()
    assert again.get(1).text == "Ann lives in Rome"
    assert again.get(1).pictures == ()
    with pytest.raises(UserError, match="memory 2 differs from its checksum"):
        again.get(2)
    again.forget(ids=[2])
    tell(again, "My car", files["red"])
    again.check()
    again.close()
    assert len(opened()) == 2
    database = sqlite3.connect(store.path)
    assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    database.close()
