"""Pictures of demonstrations to what a model sees in them, and to rows that show it."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from seeing import IMAGE, letters_tokenizer, made_up, make_seeing, reference_logits

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.data.loader import batches
from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.pictures import StoredPictures
from duomem_jax.data.rows import PictureRoom, RowFormat
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.models.vision.merge import PictureFeatures
from duomem_jax.records.store.manifest import load_manifest
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.report.show import Which
from duomem_jax.stages.examples import Examples
from duomem_jax.text.encoded import Example
from duomem_jax.text.tokenizer import chat_tokens

SIZES = [(20, 20), (60, 31), (31, 70)]
LENGTH = 512
HOW = Examples(length=LENGTH)


def write_chats(folder, sizes=SIZES):
    """Chats of these pictures, each shown twice; and one without any."""
    lines = [[{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]]
    for i, size in enumerate([*sizes, *sizes]):
        name = f"{size[0]} {size[1]}.png"
        made_up(size).save(folder / name)
        # In both spellings of a picture.
        shown = {"type": "image", "path": name}
        if i % 2:
            shown = {"type": "image_url", "image_url": {"url": (folder / name).as_uri()}}
        content = [shown, {"type": "text", "text": f"What is {i}?"}]
        lines.append(
            [
                {"role": "user", "content": content},
                {"role": "assistant", "content": "A slope."},
                {"role": "user", "content": "Sure?"},
                {"role": "assistant", "content": "Yes."},
            ]
        )
    file = folder / "chats.jsonl"
    file.write_text("".join(json.dumps({"messages": m}) + "\n" for m in lines))
    return file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`model`, `chats`, `pictures` and `rows` of one of them."""
    root = tmp_path_factory.mktemp("made")
    reference = make_seeing("smolvlm", root / "model")
    letters_tokenizer("smolvlm").save_pretrained(root / "model")
    stages.import_(str(root / "chats"), str(write_chats(root)), "chats")
    shown = (str(root / "chats"),)
    stages.pictures(str(root / "pictures"), shown, str(root / "model"))
    rows = {"demonstrations": shown, "pictures": str(root / "pictures"), "how": HOW}
    stages.examples(str(root / "rows"), str(root / "model"), **rows)
    return root, reference


def test_each_picture_is_seen_once(made):
    root, reference = made
    eyes, records = Eyes(reference.folder), read_dataset(root / "pictures", "train", "pictures")
    grids = [eyes.processor.grid(root / f"{w} {h}.png") for w, h in SIZES]
    assert len(records) == sum(grid.tiles for grid in grids)
    assert load_manifest(root / "pictures")["splits"]["train"]["counts"]["pictures"] == len(SIZES)
    by_hash = {}
    for record in records:
        by_hash.setdefault(record["sha256"].tobytes(), []).append(record["features"])
    want = [eyes.look(str(root / f"{w} {h}.png")) for w, h in SIZES]
    found = [np.concatenate(tiles) for tiles in by_hash.values()]
    for seen in want:
        (same,) = [x for x in found if len(x) == len(seen) and np.abs(x - seen).max() < 1e-2]
        assert same.dtype == np.float16
        np.testing.assert_allclose(same, seen, rtol=6e-4, atol=1e-6)


def test_parts_and_a_second_start_write_the_same_pictures(made, tmp_path, monkeypatch):
    root, _ = made
    shown, model = (str(root / "chats"),), str(root / "model")
    for i in (1, 0):
        stages.pictures(str(tmp_path / "parts"), shown, model, shard=Shard(i, 2))
    parts, whole = (read_dataset(f, "train") for f in (tmp_path / "parts", root / "pictures"))
    key = lambda r: (r["sha256"].tobytes(), r["features"].tobytes())  # noqa: E731
    assert sorted(map(key, parts)) == sorted(map(key, whole))
    # Nothing is looked at again.
    monkeypatch.setattr(Eyes, "features", None)
    report = stages.pictures(str(root / "pictures"), shown, model)
    assert report.status == "already complete"


def test_a_picture_that_has_changed_is_refused(made, tmp_path):
    root, _ = made
    file = write_chats(tmp_path, SIZES[:1])
    stages.import_(str(tmp_path / "chats"), str(file), "chats")
    made_up((21, 20)).save(tmp_path / "20 20.png")
    with pytest.raises(UserError, match=r"20 20\.png: is another picture than when"):
        stages.pictures(str(tmp_path / "out"), (str(tmp_path / "chats"),), str(root / "model"))


def test_rows_carry_their_pictures_and_give_the_logits_of_transformers(made):
    """What a training step computes on packed rows, against each conversation by itself."""
    root, reference = made
    pictures, eyes = StoredPictures(root / "pictures"), Eyes(reference.folder)
    config, params = load_pretrained(reference.folder)
    model = Model(config)
    rows = read_dataset(root / "rows", "train")
    room = len(rows[0]["tiles"])
    assert room == LENGTH // eyes.config.tile_tokens // 2
    it = batches(root / "rows", global_batch=len(rows), seed=0, pictures=pictures)
    batch = next(it)
    it.close()
    student, seen = batch.student, batch.seen
    assert seen.features_BnD.shape == (len(rows), room * eyes.config.tile_tokens, config.d_model)
    assert seen.features_BnD.dtype == np.float16
    assert not student.reply_BT[student.ids_BT == IMAGE].any()
    assert max(student.segments_BT.max(1)) > 1
    hidden = jax.jit(model.hidden)(
        params,
        student.ids_BT,
        student.positions_BT,
        student.segments_BT,
        pictures=PictureFeatures(seen.features_BnD, seen.index_BT),
    )
    logits_BTV = np.asarray(model.head(params)(hidden))
    tiles = {
        np.float16(eyes.look(str(path)))[0, :4].tobytes(): eyes.processor.tiles(path).pixels_Bhwc
        for path in (root / f"{w} {h}.png" for w, h in SIZES)
    }
    compared = 0
    for b, segments_T in enumerate(student.segments_BT):
        for segment in range(1, segments_T.max() + 1):
            (at,) = np.nonzero(segments_T == segment)
            used = seen.index_BT[b, at]
            used = used[used >= 0]
            if not len(used):
                continue
            pixels = tiles[seen.features_BnD[b, used[0], :4].tobytes()]
            assert len(used) == len(pixels) * eyes.config.tile_tokens
            want = reference_logits(reference, student.ids_BT[b, at], pixels)
            # As exact as features of float16 are.
            np.testing.assert_allclose(logits_BTV[b, at], want, atol=2e-2, rtol=2e-2)
            compared += 1
    assert compared == 2 * len(SIZES)


def test_text_without_pictures_makes_the_rows_that_it_made(made, tmp_path):
    root, _ = made
    stored, (ids, mask, _) = (
        [],
        chat_tokens(letters_tokenizer("smolvlm")).conversations(
            [[{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]]
        )[0],
    )
    for row in read_dataset(root / "rows", "train"):
        for segment in range(1, row["segment_ids"].max() + 1):
            at = row["segment_ids"] == segment
            if IMAGE not in row["tokens"][at]:
                stored.append((row["tokens"][at].tolist(), row["loss_mask"][at].tolist()))
    assert stored == [(ids, mask)]
    (tmp_path / "text.jsonl").write_text(
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hel"}, '
        '{"type": "text", "text": "lo."}]}, {"role": "assistant", "content": "Hi."}]}'
    )
    stages.import_(str(tmp_path / "chats"), str(tmp_path / "text.jsonl"), "chats")
    out = tmp_path / "rows"
    stages.examples(str(out), str(root / "model"), demonstrations=(str(tmp_path / "chats"),))
    (row,) = read_dataset(out, "train")
    assert set(row) == {"tokens", "segment_ids", "loss_mask"}
    assert row["tokens"][row["segment_ids"] > 0].tolist() == ids


ROOM = PictureRoom(tiles=3, tile_tokens=2, image_token=9)


def conversation(*tiles):
    """Turns with so many tiles each: their tokens, a word, and a reply of two."""
    tokens, mask, numbers = [], [], []
    for turn, count in enumerate(tiles):
        tokens += [9] * (2 * count) + [1, 2, 3]
        mask += [0] * (2 * count + 1) + [1, 1]
        numbers += range(10 * turn, 10 * turn + count)
    return Conversation(Example(tokens, mask), tiles=tuple(numbers))


def test_pictures_are_never_cut_and_have_room():
    form = RowFormat(24, pictures=ROOM)
    whole, cut, dropped, text = (
        conversation(1, 2),  # all the room there is
        conversation(2, 2),  # the second turn's have none
        conversation(4),
        conversation(0, 0),
    )
    rows, counts = pack_examples([whole, cut, dropped, text], form)
    assert (counts["examples"], counts["cut_to_fit"], counts["dropped_too_long"]) == (3, 1, 1)
    assert sum((row.student.segments_BT > 0).any() for row in rows) == 2
    found = {}
    for row in rows:
        assert row.seen.tiles_BP.shape == (3,)
        assert row.seen.index_BT.shape == (24,)
        shown = row.student.ids_BT == 9
        np.testing.assert_array_equal(row.seen.index_BT >= 0, shown)
        for segment in range(1, row.student.segments_BT.max() + 1):
            at = row.student.segments_BT == segment
            index = row.seen.index_BT[at][shown[at]]
            tiles = row.seen.tiles_BP[index // ROOM.tile_tokens]
            found[tuple(row.student.ids_BT[at])] = tiles[::2].tolist()
    assert found == {
        tuple(whole.student.tokens): [0, 10, 11],
        tuple(cut.student.tokens[:7]): [0, 1],
        tuple(text.student.tokens): [],
    }
    longer = pack_examples([conversation(1, 1)], dataclasses.replace(form, length=8)).rows[0]
    assert longer.student.ids_BT.tolist() == [9, 9, 1, 2, 3, 0, 0, 0]
    assert longer.seen.tiles_BP.tolist() == [0, -1, -1]


def test_pictures_of_others_are_refused(made, tmp_path):
    root, _ = made
    shown = (str(root / "chats"),)
    other = make_seeing("idefics3-tied", tmp_path / "other")
    letters_tokenizer("smolvlm").save_pretrained(other.folder)
    rows = {"demonstrations": shown, "how": HOW}
    with pytest.raises(UserError, match=r"holds pictures as the model .* sees them, not as"):
        stages.examples(
            str(tmp_path / "rows"), str(other.folder), pictures=str(root / "pictures"), **rows
        )
    with pytest.raises(UserError, match=r"a chat shows .*, and only words are read here"):
        stages.examples(str(tmp_path / "rows"), str(root / "model"), **rows)
    some = tmp_path / "some"
    some.mkdir()
    stages.import_(str(some / "chats"), str(write_chats(some, SIZES[:1])), "chats")
    stages.pictures(str(some / "pictures"), (str(some / "chats"),), str(root / "model"))
    with pytest.raises(UserError, match=r"some/pictures: does not hold .*png"):
        stages.examples(
            str(tmp_path / "rest"), str(root / "model"), pictures=str(some / "pictures"), **rows
        )
    (some / "text.jsonl").write_text((some / "chats.jsonl").read_text().split("\n")[0])
    stages.import_(str(some / "text"), str(some / "text.jsonl"), "chats")
    with pytest.raises(UserError, match="no message shows a picture"):
        stages.pictures(str(some / "none"), (str(some / "text"),), str(root / "model"))
    with pytest.raises(UserError, match="which only training reads"):
        batches(root / "rows", global_batch=2, seed=0)
    with pytest.raises(UserError, match="which no teacher is shown"):
        stages.label(str(tmp_path / "labels"), str(root / "rows"), str(root / "model"))
    with pytest.raises(UserError, match="a model that does not see"):
        stages.pictures(str(tmp_path / "p"), shown, "tiny-student")


def test_a_dataset_with_pictures_comes_back_as_lines(made, tmp_path):
    root, _ = made
    stages.dump(str(root / "chats"), str(tmp_path / "again.jsonl"))
    first, second, *_ = map(json.loads, (tmp_path / "again.jsonl").read_text().splitlines())
    assert first["messages"][0] == {"role": "user", "content": "Hello."}
    shown, words = second["messages"][0]["content"]
    assert shown == {"type": "image", "path": str(root / "20 20.png")}
    assert words == {"type": "text", "text": "What is 0?"}
    stages.import_(str(tmp_path / "again"), str(tmp_path / "again.jsonl"), "chats")
    shown = stages.show(str(tmp_path / "again"), which=Which(limit=2))
    assert f"[picture {root / '20 20.png'}]What is 0?" in shown
    # Files elsewhere, the same chats: what is stored of them does not say where they lie.
    moved = tmp_path / "moved"
    moved.mkdir()
    write_chats(moved)
    text = (moved / "chats.jsonl").read_text().replace(moved.as_uri(), root.as_uri())
    (moved / "chats.jsonl").write_text(text)
    stages.import_(str(moved / "chats"), str(moved / "chats.jsonl"), "chats")
    hashes = [load_manifest(f / "chats")["content_hash"] for f in (root, moved)]
    assert hashes[0] == hashes[1]
