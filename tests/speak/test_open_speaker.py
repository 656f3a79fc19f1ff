"""One name for every model: who is opened, what it is called, and what is refused."""

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.shipped import model_folder
from duomem_jax.records import chat
from duomem_jax.speak import Local, Sampling, open_speaker, speaker_identity
from duomem_jax.speak.served.server import Server


def test_shipped_models_and_folders_are_one_speaker(tmp_path):
    folder = str(model_folder("tiny-student"))
    content = fingerprint(folder)
    for model in ("tiny-student", folder):
        identity = speaker_identity(model)
        assert identity["model"] == content
        with open_speaker(model, record=tmp_path / "unused") as speaker:
            assert speaker.identity() == identity
            assert speaker.name == f"tiny-student@{content[:8]}"
            (reply,) = speaker.reply([[chat.user("look")]], Sampling(4))
            assert 1 < reply.new_tokens <= 4
    assert speaker_identity("tiny-student", Local(dtype="bfloat16")) != identity
    assert list(tmp_path.iterdir()) == []


def test_a_served_model_is_identified_by_its_name(server, tmp_path):
    with open_speaker("openai:p", server=Server(server.url), record=tmp_path / "r") as speaker:
        assert (speaker.name, speaker.identity()) == ("p", {"model": "openai:p"})
        assert speaker.identity() == speaker_identity("openai:p")
        replies = list(speaker.reply([[chat.user("a")], [chat.user("b")]], Sampling(4)))
        assert [r.text for r in replies] == ["heard: a", "heard: b"]
        talks = speaker.conversations(2, Sampling(4, temperature=1.0))
        for slot in (0, 1):
            talks.start(slot, seed=slot)
        said = {slot: [chat.user(f"slot {slot}")] for slot in (1, 0)}
        assert {s: r.text for s, r in talks.reply(said).items()} == {
            1: "heard: slot 1",
            0: "heard: slot 0",
        }
    assert [b.get("seed") for b in server.answered[2:]] in ([1, 0], [0, 1])
    assert (tmp_path / "r.answers").exists()


@pytest.mark.parametrize(
    ("model", "local", "says"),
    [
        ("nowhere", Local(), "nowhere: no such folder"),
        ("openai:", Local(), "name is missing"),
        ("openai:p", Local(adapter="x"), "openai:p: adapter is for models that run here"),
        ("tiny-student", Local(max_len=9999), "max_len 9999 is more than the 2048"),
        ("tiny-student", Local(adapter="nowhere"), r"adapter_config\.json"),
    ],
)
def test_mistakes_are_sentences(server, tmp_path, model, local, says):
    opening = open_speaker(model, local, server=Server(server.url), record=tmp_path / "r")
    with pytest.raises(UserError, match=says), opening:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [({"max_new": 1}, "max_new is 1"), ({"temperature": -1.0}, r"temperature is -1\.0")],
)
def test_sampling_refuses_what_cannot_be(change, says):
    with pytest.raises(UserError, match=says):
        Sampling(**{"max_new": 5} | change)
