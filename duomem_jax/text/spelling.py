"""The bytes that token ids stand for, read from a tokenizer's own vocabulary.

Decoding ids one by one would not do: a token may hold a part of a character, which decodes to
U+FFFD, and its text would no longer say which bytes the model chose.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from duomem_jax.base.errors import UserError

Piece = bytes | str  # what a token spells, or a special token's own name

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")
# The decoders that such tokenizers are made of; any other may change bytes in an unknown way.
_SENTENCEPIECE = {"Replace", "Metaspace", "ByteFallback", "Fuse", "Strip"}


class Speller:
    """Spells the token ids of one tokenizer: byte-level BPE, or SentencePiece with byte fallback.

    Raises:
        UserError: the tokenizer has no tokenizer.json, or writes text in another way.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        self._backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if self._backend is None:
            raise UserError(
                f"tokenizer {self.name}: it has no tokenizer.json, which says the bytes of each "
                "token; use a tokenizer that has one"
            )
        # The library gives no access to these parts, but writes them all as tokenizer.json.
        rules = json.loads(self._backend.to_str())
        self._added = {token["id"]: token for token in rules["added_tokens"]}
        self._spell = self._vocabulary_speller(_flat(rules["decoder"], "decoders"))
        self._at_start, self._after = _dummy_prefix(rules)
        self._pieces: dict[int, Piece] = {}

    def pieces(self, ids: Iterable[int], before: int | None = None) -> list[Piece]:
        """What each id spells; joined, the bytes of the text that was tokenised.

        Many SentencePiece tokenizers put a space before the text that they are given, and some
        before what follows an added token. It is no part of the text, so one space is taken from
        the token there; a token that was nothing else spells b"".

        Args:
            ids: as a tokenizer or a model made them; they need not be the usual tokens of the text.
            before: the id in front of the first; None where `ids` begin the text.

        Raises:
            UserError: an id that the vocabulary does not hold, or cannot spell.
        """
        result = []
        prefixed = self._at_start if before is None else self._opens(before)
        for i in ids:
            piece = self._piece(i)
            if prefixed and isinstance(piece, bytes) and i not in self._added:
                piece = piece.removeprefix(b" ")
            result.append(piece)
            prefixed = self._opens(i)
        return result

    def _opens(self, i: int) -> bool:
        """Whether the tokenizer puts a space after this token."""
        return i in self._added and self._after(self._added[i])

    def _piece(self, i: int) -> Piece:
        if i not in self._pieces:
            self._pieces[i] = self._look_up(i)
        return self._pieces[i]

    def _look_up(self, i: int) -> Piece:
        if i in self._added and self._added[i]["special"]:
            # Text and not bytes: the same characters written out in a reply then never equal it.
            return self._added[i]["content"]
        token = self._backend.id_to_token(i)
        if token is None:
            raise UserError(f"tokenizer {self.name}: it has no token {i}; use the model's own one")
        return self._spell(token, i in self._added)

    def _vocabulary_speller(self, decoders: list[dict]) -> Callable[[str, bool], bytes]:
        kinds = [d["type"] for d in decoders]
        if "ByteLevel" in kinds and set(kinds) <= {"ByteLevel", "Fuse"}:
            return self._byte_level
        replaced = [_replacement(d) for d in decoders if d["type"] in ("Replace", "Metaspace")]
        # A replacement by regular expression cannot be applied to one token alone.
        if not kinds or not set(kinds) <= _SENTENCEPIECE or None in replaced:
            raise UserError(
                f"tokenizer {self.name}: the bytes of its tokens are unknown, since its decoder is "
                f"{' + '.join(kinds) or 'absent'}; use a byte-level or SentencePiece tokenizer"
            )
        fallback = "ByteFallback" in kinds

        def spell(token: str, added: bool) -> bytes:
            # Characters that the vocabulary lacks are spelled byte by byte, as <0xE2>.
            if fallback and (byte := _BYTE_TOKEN.fullmatch(token)):
                return bytes.fromhex(byte[1])
            for old, new in filter(None, replaced):
                token = token.replace(old, new)
            return token.encode()

        return spell

    def _byte_level(self, token: str, added: bool) -> bytes:
        if added:  # matched in the text as it stands, not in the stand-ins of its bytes
            return token.encode()
        try:
            return bytes(_BYTES[c] for c in token)
        except KeyError as e:
            raise UserError(
                f"tokenizer {self.name}: token {token!r} is not spelled in bytes; use a "
                "tokenizer.json whose vocabulary is byte-level throughout"
            ) from e


def byte_alphabet() -> dict[int, str]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes (GPT-2's table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (b for b in range(256) if b not in kept)
    table = {b: chr(b) for b in kept}
    table.update({b: chr(256 + i) for i, b in enumerate(others)})
    return table


_BYTES = {c: b for b, c in byte_alphabet().items()}


def _flat(part: dict | None, members: str) -> list[dict]:
    """The parts of a pipeline of tokenizer.json, sequences opened."""
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [inner for p in part[members] for inner in _flat(p, members)]
    return [part]


def _replacement(decoder: dict) -> tuple[str, str] | None:
    """(written, meant) of a decoder that replaces a string; None for a regular expression."""
    if decoder["type"] == "Metaspace":
        return decoder["replacement"], " "
    old = decoder["pattern"].get("String")
    return None if old is None else (old, decoder["content"])


def _dummy_prefix(rules: dict) -> tuple[bool, Callable[[dict], bool]]:
    """Where the tokenizer adds a space: at the start of a text, and after which added tokens."""
    normalizers = _flat(rules["normalizer"], "normalizers")
    splitters = _flat(rules["pre_tokenizer"], "pretokenizers")
    if any(n["type"] == "Prepend" for n in normalizers):
        # Text is parted at these tokens before it is normalised, at the others after it.
        return True, lambda token: not token["normalized"]
    schemes = [s["prepend_scheme"] for s in splitters if s["type"] == "Metaspace"]
    if "always" in schemes or any(s.get("add_prefix_space") for s in splitters):
        return True, lambda token: True
    # Only in front of the whole text, so never after an added token.
    return "first" in schemes, lambda token: False
