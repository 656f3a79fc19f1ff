"""Stored targets against the teacher's own full distributions."""

import dataclasses

import jax
import numpy as np
import pytest

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.data.loader import batches
from duomem_jax.data.rows import TargetFormat, batch_of, positions_in_segments
from duomem_jax.labels import local
from duomem_jax.models.hf import copy_tokenizer, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives import Stored
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.stages.label import Label

TEACHER = str(model_folder("tiny-teacher"))


@pytest.fixture(scope="module")
def distributions():
    """Function from rows of one view to log_p_BTV of the tiny teacher."""
    config, params = load_pretrained(TEACHER)
    model = Model(config)

    @jax.jit
    def log_p(tokens, positions, segments):
        x_BTD = model.hidden(params, tokens, positions, segments)
        return jax.nn.log_softmax(model.head(params)(x_BTD))

    def of(rows, view=""):
        tokens, segments = (
            np.stack([r[view + n] for r in rows]) for n in ("tokens", "segment_ids")
        )
        return np.asarray(log_p(tokens, positions_in_segments(segments), segments))

    return of


def replies(row, view=""):
    """Positions before the tokens with loss."""
    return np.nonzero(row[view + "loss_mask"])[0] - 1


def test_topk_holds_the_written_token_and_the_likeliest(labelled, played, distributions):
    rows, plain = read_dataset(labelled, "train"), read_dataset(played / "rows", "train")
    for row, before, log_p in zip(rows, plain, distributions(list(plain)), strict=True):
        np.testing.assert_array_equal(row["tokens"], before["tokens"])
        places = replies(row)
        assert row["target_mask"].sum() == len(places)
        for i, t in enumerate(places):
            ids = row["target_ids"][i].astype(int)
            assert ids[0] == row["tokens"][t + 1]
            assert len(set(ids)) == 8
            others = [v for v in np.argsort(-log_p[t]) if v != ids[0]]
            np.testing.assert_allclose(
                np.sort(log_p[t][ids[1:]]), np.sort(log_p[t][others[:7]]), atol=1e-4
            )
            np.testing.assert_allclose(
                row["target_log_probs"][i], log_p[t][ids], rtol=2e-3, atol=1e-5
            )
            rest = max(1 - np.exp(log_p[t][ids].astype(np.float64)).sum(), 1e-6)
            np.testing.assert_allclose(np.exp(float(row["target_rest"][i])), rest, atol=2e-3)


def test_a_teacher_with_memories_is_read_through_its_own_view(played, distributions):
    out = played / "paired-labelled"
    stages.label(str(out), str(played / "paired"), TEACHER, Label(k=8, rows=1))
    rows = list(read_dataset(out, "train"))
    told, untold = distributions(rows, "teacher_"), distributions(rows)
    for row, log_p, other in zip(rows, told, untold, strict=True):
        stored = row["target_log_probs"][: len(replies(row)), 0]
        written = row["teacher_tokens"][replies(row, "teacher_") + 1]
        np.testing.assert_allclose(stored, log_p[replies(row, "teacher_"), written], atol=0.02)
        assert np.abs(stored - other[replies(row), written]).max() > 0.05


def test_samples_follow_the_distribution(played, distributions):
    out = played / "sampled"
    stages.label(str(out), str(played / "rows"), TEACHER, Label("samples", k=400, rows=1))
    row = read_dataset(out, "train")[0]
    p = np.exp(distributions([row])[0])
    assert "target_rest" not in row
    np.testing.assert_allclose(np.exp(row["target_log_probs"]).sum(-1), 1, rtol=2e-2)
    for i, t in list(enumerate(replies(row)))[:40]:
        share = np.bincount(row["target_ids"][i], minlength=p.shape[-1]) / 400
        assert np.abs(share - p[t]).max() < 5 * np.sqrt(0.25 / 400)
    assert len(set(row["target_ids"][: len(replies(row))].ravel())) > 20


@pytest.mark.parametrize("how", [Label(k=8, rows=2), Label("samples", k=8, rows=2)])
def test_neither_batches_nor_shards_change_the_targets(played, how, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    stages.label(str(whole), str(played / "rows"), TEACHER, dataclasses.replace(how, rows=1))
    for i in range(2):
        stages.label(str(parts), str(played / "rows"), TEACHER, how, Shard(i, 2))

    def ids(folder):
        rows = read_dataset(folder, "train")
        return sorted((r["tokens"].tolist(), r["target_ids"].tolist()) for r in rows)

    assert ids(whole) == ids(parts)


def test_the_manifest_tells_what_the_targets_are(labelled):
    facts = read_dataset(labelled, "train").facts
    targets = facts["config"]["targets"]
    assert (targets["kind"], targets["k"], targets["temperature"]) == ("topk", 8, 1.0)
    assert len(targets["teacher"]) > 10
    assert facts["counts"]["rows_missing_targets"] == 0


def test_targets_take_at_most_six_bytes_a_candidate():
    sizes = {"uint16": 2, "uint8": 1, "float16": 2}
    for vocab, k in ((1000, 8), (151_936, 8), (151_936, 64)):
        layout = TargetFormat(10, k, vocab, "topk").layout()
        size = sum(sizes[dtype] * np.prod(shape) for dtype, shape in layout.values())
        assert size <= 6 * 10 * k


@pytest.mark.parametrize("vocab", [1000, 151_936])
def test_targets_come_back_from_their_record(vocab):
    ids = np.array([[0, 999, 65_535 % vocab, 65_536 % vocab, vocab - 1]])
    log_probs = np.float16([[-1, -2, -3, -4, -5]])
    stored = Stored(ids, log_probs, np.array([True]), np.float16([-6]))
    record = TargetFormat(1, 5, vocab, "topk").record(stored)
    tokens = {"tokens": ids[0], "segment_ids": ids[0], "loss_mask": ids[0]}
    jax.tree.map(np.testing.assert_array_equal, batch_of(tokens | record).stored, stored)


def test_batches_carry_targets(labelled):
    it = batches(labelled, global_batch=2, seed=0)
    stored = next(it).stored
    it.close()
    assert stored.ids_BAC.dtype == np.int32
    assert stored.log_probs_BAC.shape == stored.ids_BAC.shape


def test_a_teacher_of_another_vocabulary_is_refused_by_name(played, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "vocabulary_fingerprint", lambda tokenizer: "f" * 64)
    wanted = r"vocabulary [0-9a-f]{12}, tiny-teacher@[0-9a-f]{8} has ffffffffffff"
    with pytest.raises(UserError, match=wanted):
        stages.label(str(tmp_path / "out"), str(played / "rows"), TEACHER)


def test_more_candidates_than_the_vocabulary_has_are_refused(played, tmp_path):
    with pytest.raises(UserError, match="below the vocabulary"):
        stages.label(str(tmp_path / "out"), str(played / "rows"), TEACHER, Label(k=5000))


@pytest.mark.parametrize("kind", ["topk", "samples"])
def test_a_head_wider_than_the_vocabulary_gives_no_candidates_beyond_it(played, tmp_path, kind):
    """Qwen2.5's heads are padded to different widths, and a student may have the narrower one."""
    config, params = load_pretrained(TEACHER)
    vocab = config.vocab_size
    table_VD = np.asarray(params["embedding"])
    # Rows beyond the vocabulary that are likelier than all others.
    wide = dataclasses.replace(config, vocab_size=vocab + 512)
    padded = params | {"embedding": np.concatenate([table_VD, 3 * table_VD[:512]])}
    teacher = tmp_path / "teacher"
    save_pretrained(teacher, wide, padded)
    copy_tokenizer(TEACHER, teacher)
    how = Label(kind=kind, k=8, rows=2)
    stages.label(str(tmp_path / "out"), str(played / "rows"), str(teacher), how)
    rows = list(read_dataset(tmp_path / "out", "train"))
    there = [row["target_mask"] > 0 for row in rows]
    ids = np.concatenate([row["target_ids"][live] for row, live in zip(rows, there, strict=True)])
    assert ids.max() < vocab
    if kind == "topk":
        # What the head gives to other outcomes is in the rest, so that all of it adds up to 1.
        log_p, rest = (
            np.concatenate([row[name][live] for row, live in zip(rows, there, strict=True)])
            for name in ("target_log_probs", "target_rest")
        )
        total = np.exp(log_p.astype(float)).sum(1) + np.exp(rest.astype(float))
        np.testing.assert_allclose(total, 1, atol=0.01)
        assert np.exp(rest.astype(float)).mean() > 0.5
