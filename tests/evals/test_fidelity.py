"""Distances to a teacher against numpy on full logits."""

import jax
import numpy as np
import pytest

from duomem_jax.data.rows import positions_in_segments
from duomem_jax.evals.fidelity import BINS, measure_fidelity
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.store.reader import read_dataset

TEACHER, STUDENT = (str(model_folder(f"tiny-{who}")) for who in ("teacher", "student"))


def log_probs(folder, row):
    config, params = load_pretrained(folder)
    model = Model(config)
    tokens, segments = row["tokens"][None], row["segment_ids"][None]
    x = model.hidden(params, tokens, positions_in_segments(segments), segments)
    return np.asarray(jax.nn.log_softmax(model.head(params)(x)), np.float64)[0]


def turns_of(row, places):
    """Which reply of its episode each place is in."""
    turns, last, turn = [], None, 0
    for place in places:
        episode = row["segment_ids"][place]
        if last is None or episode != row["segment_ids"][last]:
            turn = 0
        elif place != last + 1:
            turn += 1
        turns.append(turn)
        last = place
    return turns


def test_fidelity_equals_numpy_on_full_logits(played):
    rows = list(read_dataset(played / "rows", "train"))
    s, t, written, turns = [], [], [], []
    for row in rows:
        places = np.nonzero(row["loss_mask"])[0]
        turns += turns_of(row, places)
        s.append(log_probs(STUDENT, row)[places - 1])
        t.append(log_probs(TEACHER, row)[places - 1])
        written.append(row["tokens"][places])
    s, t, written = map(np.concatenate, (s, t, written))
    found = measure_fidelity(STUDENT, TEACHER, played / "rows")
    assert found.tokens == len(written)
    assert found.forward_kl == pytest.approx((np.exp(t) * (t - s)).sum(-1).mean(), rel=1e-3)
    assert found.reverse_kl == pytest.approx((np.exp(s) * (s - t)).sum(-1).mean(), rel=1e-3)
    nats = (np.exp(t) * (t - s)).sum(-1)
    by_turn = [nats[np.array(turns) == i].mean() for i in range(max(turns) + 1)]
    assert found.by_turn == pytest.approx(by_turn, rel=1e-3)
    picked = s[np.arange(len(written)), written]
    assert found.cross_entropy == pytest.approx(-picked.mean(), rel=1e-3)
    assert found.agreement == pytest.approx((s.argmax(-1) == t.argmax(-1)).mean(), abs=1e-3)
    sure, right = np.exp(s.max(-1)), s.argmax(-1) == written
    of_bin = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(sure[of_bin == b].sum() - right[of_bin == b].sum()) for b in range(BINS)]
    assert found.calibration_error == pytest.approx(sum(gaps) / len(written), abs=1e-3)


def test_a_model_has_no_distance_to_itself(played):
    found = measure_fidelity(TEACHER, TEACHER, played / "rows", rows=2)
    assert found.forward_kl == pytest.approx(0, abs=1e-5)
    assert found.agreement == 1
