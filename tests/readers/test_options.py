"""Options that are words with a form of their own: right, or one sentence."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from duomem_jax.aot.topology import parse_topology
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import system_text
from duomem_jax.base.shard import Shard
from duomem_jax.evals.audit.subjects import make_subjects
from duomem_jax.memory.embed import make_embedder
from duomem_jax.speak.served.server import Server

DIGITS = "9" * 5000  # more than Python turns into a number
WORDS = st.one_of(
    st.text(max_size=20),
    st.text("0123456789/x:-=. ²٣_+", max_size=12),
    st.sampled_from(["", "\0", "\ud800", "x" * 5000, DIGITS, "1" * 30, "-1", "nan", "1e9"]),
)
READERS = {
    "shard": lambda word: str(Shard.parse(word)),
    "shard of n": lambda word: str(Shard.parse(f"0/{word}")),
    "topology": lambda word: str(parse_topology(word)),
    "topology of v5e": lambda word: str(parse_topology(f"v5e:{word}")),
    "chips of v5e": lambda word: str(parse_topology(f"v5e-{word}")),
    "embedder": lambda word: make_embedder(word).name,
    "dimensions": lambda word: make_embedder(f"hashing:{word}").embed(["a mug"]).shape,
    "adapter of an audit": lambda word: make_subjects("s", [(word, "f")], "")[-1].name,
    "system message": lambda word: system_text(f"@{word}", ""),
    "server": lambda word: Server(url=word or "x").address,
}


@pytest.mark.parametrize("name", READERS)
@settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(WORDS)
@example("3/4")
@example(DIGITS)
@example(f"0/{DIGITS}")
@example("0/100000000")
@example("99999999999")
def test_a_word_is_read_or_refused_in_one_sentence(name, word):
    try:
        READERS[name](word)
        sentence = ""
    except UserError as e:
        sentence = str(e)
    assert "\n" not in sentence
    assert len(sentence) < 1200


def test_a_shard_is_as_it_was_written():
    assert str(Shard.parse("3/4")) == "3/4"
    with pytest.raises(UserError, match="below 100,000"):
        Shard.parse("0/100000")
