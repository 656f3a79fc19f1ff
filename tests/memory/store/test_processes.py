"""Many processes on one file, killed at any moment: nothing that was acknowledged is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import duomem_jax
from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.store.store import Store

HAMMER = Path(__file__).with_name("hammer.py")
# The package that is tested, which need not be the one that is installed.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(duomem_jax.__file__).parents[1])}
SHARED = "everyone knows this"


def replay(said):
    """The texts after what was acknowledged, and after what was begun last."""
    texts, last = [], None
    states = [[]]
    for word, kind, text in said:
        assert word != "wrong", (kind, text)
        if word == "begin":
            last = (kind, text)
            states = [list(texts), after(texts, *last)]
        else:
            texts = after(texts, *last)
            states = [list(texts)]
    return states


def after(texts, kind, text):
    return {
        "add": [*texts, text],
        "update": [*texts[:-1], text],
        "delete": texts[:-1],
        "forget": texts[:-1],
    }[kind]


@pytest.mark.parametrize(
    "kills", [25, pytest.param(200, marks=pytest.mark.slow)], ids=["25 kills", "200 kills"]
)
def test_killed_writers_lose_at_most_what_was_in_flight(tmp_path, kills):
    path = tmp_path / "store.sqlite"
    done = subprocess.run(
        [sys.executable, HAMMER, path, "8", str(kills), "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        env=ENVIRONMENT,
    )
    said = json.loads(done.stdout)
    assert len(said) == kills + 8
    assert sum(len(lines) for lines in said.values()) > 5 * kills
    with Store.open(path, embedder=HashingEmbedder(16)) as store:
        store.check()
        assert [e.text for e in store.entries(who="all")] == [SHARED]
        for name, lines in said.items():
            texts = [entry.text for entry in store.entries(who=name)]
            assert texts in replay(lines), name
        entries = store.entries()
        for entry in entries:
            history = store.history(entry.id)
            assert [v.version for v in history] == list(range(1, entry.version + 1))
            assert history[-1].text == entry.text
        assert store.vectors().ids_M.tolist() == [entry.id for entry in entries]
        for entry in entries[:: len(entries) // 50 + 1]:
            assert [f.entry.id for f in store.recall(entry.text, who=entry.owner, k=1)] == [
                entry.id
            ]
