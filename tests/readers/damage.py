"""What can happen to a file: strategies for its bytes, its text, its lines and its JSON."""

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st


class Place(enum.Enum):
    """What is in the place of a file."""

    MISSING = "no file"
    FOLDER = "a folder"


@dataclass(frozen=True, repr=False)
class Damage:
    """A file's new content.

    Attributes:
        how: in words.
        content: bytes, or what is there instead of a file.
        harmless: it says the same as before in other words.
    """

    how: str
    content: bytes | Place
    harmless: bool = False

    def apply(self, file: Path) -> None:
        file.unlink()
        if self.content is Place.FOLDER:
            file.mkdir()
        elif isinstance(self.content, bytes):
            file.write_bytes(self.content)

    def __repr__(self) -> str:
        # Of a whole file nobody could read anything.
        return f"Damage({self.how!r}, {self.content!r:.1000})"


# Text that no JSON library writes: it takes the place of these words once the rest is written.
_WRITTEN = {
    '"<deep>"': "[" * 100_000 + "]" * 100_000,
    '"<deep object>"': '{"a":' * 3000 + "1" + "}" * 3000,
    '"<nested>"': "[" * 300 + "]" * 300,
    '"<nested object>"': '{"a":' * 90 + "1" + "}" * 90,
    '"<long number>"': "9" * 5000,
    '"<beyond floats>"': "1e999",
}
VALUES = st.one_of(
    st.sampled_from([None, True, False, [], {}, [None], {"a": None}, [[[]]]]),
    st.sampled_from([0, 1, -1, 2, 255, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**400]),
    st.sampled_from([0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")]),
    st.sampled_from(
        ["", "0", "x", "é\n", "\0", "\ud800", "x" * 5000, "/", "..", "../x", "{{", "%"]
    ),
    st.sampled_from([json.loads(words) for words in _WRITTEN]),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
)


@st.composite
def _rearranged(draw: Any, whole: Any, other: Any) -> tuple[str, Any]:
    """A sequence (bytes, text or a list) of which a part is lost, moved, repeated or replaced."""
    n = len(whole)
    start = draw(st.integers(0, n))
    stop = min(n, start + draw(st.one_of(st.integers(0, 8), st.integers(0, n))))
    before, part, after = whole[:start], whole[start:stop], whole[stop:]
    made = {
        "cut short": before,
        "beginning lost": after,
        "part lost": before + after,
        "part repeated": before + part + part + after,
        "part moved to the front": part + before + after,
        "part moved to the end": before + after + part,
        "part reversed": before + part[::-1] + after,
        "other in its place": before + other + after,
    }
    how = draw(st.sampled_from(sorted(made)))
    return f"{how}, {start} to {stop} of {n}", made[how]


@st.composite
def binary(draw: Any, content: bytes) -> Damage:
    """Bytes lost, moved, flipped, or others altogether."""
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return Damage("other bytes", draw(st.binary(max_size=64)))
    if kind == 1:
        return Damage("zeros", bytes(draw(st.sampled_from([1, 100, 4096, len(content)]))))
    if kind == 2:
        at = draw(st.integers(0, max(0, len(content) - 1)))
        flipped = bytes(b ^ draw(st.integers(1, 255)) for b in content[at : at + 1])
        return Damage(f"byte {at} flipped", content[:at] + flipped + content[at + 1 :])
    return Damage(*draw(_rearranged(content, draw(st.binary(min_size=1, max_size=8)))))


@st.composite
def text(draw: Any, content: bytes) -> Damage:
    """Characters, lines or words lost, moved or replaced."""
    whole = content.decode()
    unit = draw(st.sampled_from(["characters", "lines", "words"]))
    if unit == "characters":
        how, made = draw(_rearranged(whole, draw(st.text(min_size=1, max_size=5))))
    else:
        space = "\n" if unit == "lines" else " "
        how, parts = draw(_rearranged(whole.split(space), [draw(st.text(max_size=5))]))
        made = space.join(parts)
    return Damage(f"{unit}: {how}", made.encode(errors="surrogatepass"))


def _write(value: Any, **how: Any) -> str:
    written = json.dumps(value, **how)
    for words, meant in _WRITTEN.items():
        written = written.replace(words, meant)
    return written


def _change(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a document in which `change(container, key)` was called at a path."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return copy


@st.composite
def _path(draw: Any, document: Any) -> tuple[Any, ...]:
    """A path to something inside; each level is as likely as the next."""
    path: list[Any] = []
    while isinstance(document, dict | list) and document:
        if path and draw(st.booleans()):
            break
        keys = sorted(document) if isinstance(document, dict) else range(len(document))
        path.append(draw(st.sampled_from(keys)))
        document = document[path[-1]]
    return tuple(path)


def _reordered(value: Any, draw: Any) -> Any:
    if isinstance(value, list):
        return [_reordered(inner, draw) for inner in value]
    if not isinstance(value, dict):
        return value
    # Not a draw for every key: some files have thousands.
    turn = draw(st.integers(0, len(value)))
    keys = list(value)
    keys = keys[turn:][::-1] + keys[:turn]
    return {key: _reordered(value[key], draw) for key in keys}


@st.composite
def _document(draw: Any, document: Any) -> tuple[str, str, bool]:
    """JSON of a document with one fault, or in other words: (how, text, harmless)."""
    path = draw(_path(document))
    found = document
    for key in path:
        found = found[key]
    kinds = ["reordered", "spaced", "another", "wrong value", "wrong value", "wrong value"]
    kinds += ["lost", "unknown", "duplicated"] if path else []
    # Long text often has a language of its own.
    kinds += ["damaged text"] * (8 if len(found) > 50 else 1) if isinstance(found, str) else []
    kind, where = draw(st.sampled_from(kinds)), ".".join(map(str, path))
    if kind == "reordered":
        return kind, json.dumps(_reordered(document, draw)), True
    if kind == "spaced":
        indent, end = draw(st.sampled_from([None, 0, 3, "\t"])), draw(st.sampled_from(["", "\n\n"]))
        # Lines of JSON Lines cannot have lines of their own.
        return kind, " " + json.dumps(document, ensure_ascii=indent is None) + end.strip("\n"), True
    value = draw(VALUES)
    if kind == "another" or not path:
        return f"{value!r:.50} instead", _write(value), False
    if kind == "wrong value":
        made = _change(document, path, lambda inner, key: inner.__setitem__(key, value))
        return f"{where} is {value!r:.50}", _write(made), False
    if kind == "lost":
        return f"{where} lost", _write(_change(document, path, lambda i, key: i.pop(key))), False
    if kind == "unknown":
        name = draw(st.text(max_size=8))

        def put(inner: Any, key: Any) -> None:
            if isinstance(inner, dict):
                inner[name] = value
            else:
                inner.append(value)

        return f"{name!r} added beside {where}", _write(_change(document, path, put)), False
    if kind == "duplicated" and isinstance(document, dict):
        twice = json.dumps(document)
        name = json.dumps(str(path[0]))
        return f"{path[0]} twice", f"{{{name}: {_write(value)}, {twice[1:]}", False
    if kind != "damaged text":
        return "unchanged", json.dumps(document), True
    broken = draw(text(found.encode(errors="replace")))
    words = broken.content.decode(errors="replace")
    made = _change(document, path, lambda inner, key: inner.__setitem__(key, words))
    return f"{where}: {broken.how}", _write(made), False


@st.composite
def json_file(draw: Any, content: bytes) -> Damage:
    """One wrong value of a JSON document, or its text damaged."""
    if draw(st.integers(0, 4)) == 0:
        return draw(text(content))
    how, written, harmless = draw(_document(json.loads(content)))
    return Damage(how, written.encode(errors="surrogatepass"), harmless)


@st.composite
def json_lines(draw: Any, content: bytes) -> Damage:
    """One wrong line, or lines damaged, or blank ones between them."""
    lines = content.decode().splitlines()
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return draw(text(content))
    if kind == 1:
        how, left = draw(_rearranged(lines, [draw(st.text(max_size=5))]))
        return Damage(f"lines: {how}", "\n".join(left).encode(errors="surrogatepass"))
    at = draw(st.integers(0, len(lines) - 1))
    how, line, harmless = draw(_document(json.loads(lines[at])))
    made = "\n".join([*lines[:at], line, *lines[at + 1 :]]) + "\n"
    return Damage(f"line {at}: {how}", made.encode(errors="surrogatepass"), harmless)


def with_value(content: bytes, path: str, value: Any) -> Damage:
    """A JSON file, or the first line of JSON Lines, with another value at a dotted path."""
    first, *rest = content.decode().split("\n") if b"\n{" in content else [content.decode()]
    made = _change(json.loads(first), tuple(path.split(".")), lambda i, k: i.__setitem__(k, value))
    return Damage(f"{path} is {value!r:.50}", "\n".join([_write(made), *rest]).encode())


KINDS = {"json": json_file, "json lines": json_lines, "text": text, "binary": binary}


def damages(kind: str, content: bytes) -> st.SearchStrategy[Damage]:
    """What may happen to a file of a kind; bytes go wrong in files of every kind."""
    nothing = [Damage("nothing in it", b""), *(Damage(p.value, p) for p in Place)]
    own = KINDS[kind](content)
    # Mostly what only its own kind can have.
    return st.one_of(own, own, own, own, binary(content), st.sampled_from(nothing))
