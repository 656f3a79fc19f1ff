"""An output folder belongs to one kind of work, and nothing of others is written over."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import MARK, claim_folder


def test_a_folder_is_claimed_once_and_returned_to(tmp_path):
    for _ in range(2):
        assert claim_folder(tmp_path / "a/b", "an audit") == tmp_path / "a/b"
    assert json.loads((tmp_path / "a/b" / MARK).read_text()) == {"kind": "an audit"}
    (tmp_path / "empty").mkdir()
    claim_folder(tmp_path / "empty", "an audit")


def test_somebody_elses_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "report.md").write_text("mine")
    claim_folder(tmp_path / "other", "an audit")
    for folder, why in (
        (tmp_path, "is not empty; nothing is replaced"),
        (tmp_path / "report.md", "is a file"),
        (tmp_path / "other", "holds an audit, not results"),
    ):
        with pytest.raises(UserError, match=why):
            claim_folder(folder, "results")
    assert (tmp_path / "report.md").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "report.md"]


def test_many_processes_may_claim_a_new_folder_at_once(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: claim_folder(tmp_path / f"{i % 4}", "results"), range(200)))
