"""Spellings against the texts that were tokenised, for every kind of tokenizer."""

import json

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from kinds import byte_level, fast, sentencepiece

from duomem_jax.base.errors import UserError
from duomem_jax.models.shipped import model_folder
from duomem_jax.text.spelling import Speller, byte_alphabet
from duomem_jax.text.tokenizer import load_tokenizer

SPECIAL = ["<begin>", "<end>"]
LOSSY = ("always", "first")  # Metaspace adds no space where one is, so that one is lost
PROPERTY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# U+2581 is how SentencePiece writes a space; a text that holds it does not survive.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="▁")
SAMPLES = ["e\u0301", "\u1112\u1161\u11ab", "👩‍🚀", "🙂", "東京", " ", "  ", "\n\n", "drawer 1"]
TEXTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=6), st.sampled_from(SAMPLES))).map("".join)


@pytest.fixture(scope="module")
def tokenizers():
    kinds = {p: fast(sentencepiece(SPECIAL, p)) for p in ("normalizer", "always", "first")}
    return kinds | {
        "gemma": fast(sentencepiece(SPECIAL)),
        "llama3": fast(byte_level(SPECIAL)),
        "qwen": fast(byte_level(SPECIAL, nfc=True, added=["<think>"])),
        "tiny": load_tokenizer(model_folder("tiny-student")),
    }


KINDS = ["normalizer", "always", "first", "gemma", "llama3", "qwen", "tiny"]


@pytest.fixture(scope="module")
def spellers(tokenizers):
    return {kind: Speller(tokenizer) for kind, tokenizer in tokenizers.items()}


def encode(tokenizer, text):
    return tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids


def normal(tokenizer, text):
    """The text as the tokenizer keeps it, without what it does to spaces."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())["normalizer"]
    nfc = rules and rules["type"] == "NFC"
    return tokenizer.backend_tokenizer.normalizer.normalize_str(text) if nfc else text


@pytest.mark.parametrize("kind", KINDS)
@PROPERTY
@given(text=TEXTS)
@example(text="7 of 9")
@example(text="e\u0301")
def test_pieces_spell_the_bytes_of_the_text(tokenizers, spellers, kind, text):
    assume(kind not in LOSSY or not text.startswith(" "))
    tokenizer = tokenizers[kind]
    pieces = spellers[kind].pieces(encode(tokenizer, text))
    assert b"".join(pieces) == normal(tokenizer, text).encode()


@pytest.mark.parametrize("kind", KINDS[:-1])
@PROPERTY
@given(texts=st.lists(TEXTS, min_size=2, max_size=3), data=st.data())
def test_pieces_of_parts_are_parts_of_the_pieces(tokenizers, spellers, kind, texts, data):
    assume(kind not in LOSSY or not any(text.startswith(" ") for text in texts))
    tokenizer = tokenizers[kind]
    ids = encode(tokenizer, "<end>".join(texts))
    speller = spellers[kind]
    pieces = speller.pieces(ids)
    parts = [[]]
    for piece in pieces:
        if piece == "<end>":
            parts.append([])
        else:
            parts[-1].append(piece)
    assert [b"".join(p) for p in parts] == [normal(tokenizer, text).encode() for text in texts]
    cut = data.draw(st.integers(1, len(ids)))
    assert speller.pieces(ids[:cut]) + speller.pieces(ids[cut:], ids[cut - 1]) == pieces


@pytest.mark.parametrize("kind", ["llama3", "tiny"])
@PROPERTY
@given(data=st.data())
def test_pieces_of_any_ids_equal_their_decoding(tokenizers, spellers, kind, data):
    backend = tokenizers[kind].backend_tokenizer
    common = sorted(set(range(backend.get_vocab_size())) - set(backend.get_added_tokens_decoder()))
    ids = data.draw(st.lists(st.sampled_from(common)))
    pieces = spellers[kind].pieces(ids)
    assert b"".join(pieces).decode(errors="replace") == backend.decode(ids)


def test_pieces_keep_the_bytes_of_a_part_of_a_character(tokenizers, spellers):
    for kind in ("llama3", "gemma"):
        ids = encode(tokenizers[kind], "🚀")
        pieces = spellers[kind].pieces(ids)
        assert b"".join(pieces) == "🚀".encode()
        assert "\ufffd" in pieces[0].decode(errors="replace")


def test_pieces_drop_the_dummy_prefix_only_where_it_was_put(tokenizers, spellers):
    def spell(kind, ids, before=None):
        return spellers[kind].pieces(ids, before)

    for kind, after_special in [("normalizer", b""), ("always", b""), ("first", b" ")]:
        space, end = tokenizers[kind].convert_tokens_to_ids(["▁", "<end>"])
        letter = tokenizers[kind].convert_tokens_to_ids("a")
        assert spell(kind, [space]) == [b""]
        assert spell(kind, [space], before=end) == [after_special]
        assert spell(kind, [space], before=letter) == [b" "]
        assert spell(kind, [letter], before=end) == [b"a"]  # a model may omit the space
    space = tokenizers["gemma"].convert_tokens_to_ids("▁")
    assert spell("gemma", [space]) == [b" "]


def test_pieces_of_added_tokens_that_are_not_special_are_text():
    tokenizer = fast(byte_level(SPECIAL, added=["<think>", "naïve !"]))
    ids = encode(tokenizer, "<think>naïve !<end>")
    assert len(ids) == 3
    assert Speller(tokenizer).pieces(ids) == [b"<think>", "naïve !".encode(), "<end>"]
    tokenizer = fast(sentencepiece(SPECIAL, "normalizer", added=["  "]))
    assert tokenizer.convert_ids_to_tokens(encode(tokenizer, "  a")) == ["  ", "▁a"]
    assert Speller(tokenizer).pieces(encode(tokenizer, "  a")) == [b"  ", b"a"]


def test_speller_refuses_an_unknown_decoder(tokenizers):
    from tokenizers import Tokenizer, decoders, models

    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    with pytest.raises(UserError, match="decoder is absent"):
        Speller(fast(words))
    words.decoder = decoders.WordPiece()
    with pytest.raises(UserError, match="decoder is WordPiece"):
        Speller(fast(words))
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        Speller(object())
    with pytest.raises(UserError, match="no token 9999"):
        Speller(tokenizers["gemma"]).pieces([9999])


def test_byte_alphabet_is_that_of_the_tokenizers_library():
    from tokenizers import pre_tokenizers

    assert sorted(byte_alphabet().values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text = "".join(map(chr, range(0x250))) + "🙂"
    ((piece, _),) = spelled.pre_tokenize_str(text)
    assert piece == "".join(byte_alphabet()[b] for b in text.encode())
