"""XLA's text of a compiled program, read into instructions.

Only what `work` asks for: https://openxla.org/xla/operation_semantics and the text form that
`jax.stages.Compiled.as_text` gives. That form is no interface and changes with XLA, so
`tests/aot/test_hlo.py` compiles programs and checks each mark that is looked for here.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

CHECKED = "0.10"  # JAX whose text form this was written for, see the module's docstring
BYTES = {"pred": 1, "s4": 0.5, "u4": 0.5, "bf16": 2, "c64": 8, "c128": 16}  # the rest: their digits
# bf16[8,64]{1,0:T(8,128)(2,1)S(1)}: type, sizes, and a layout with tiles and a memory space. Small
# floats have a longer name: f8e4m3fn.
ARRAY = re.compile(r"\b([a-z]+\d*(?:e\d+m\d+[a-z]*)?)\[([\d,]*)\](\{[^}]*\})?")
# %body (p.1: f32[4]) -> f32[4] {, with ENTRY before it for what is run first.
HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
#   ROOT %add.1 = f32[4]{0} add(%p.1, %c.2), metadata={...}
LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
NAME = re.compile(r"%([\w.\-]+)")
CLOSING = {"(": ")", "{": "}", "[": "]"}
# A fusion that starts or ends a transfer which others compute beside.
ASYNC = re.compile(r'custom_call_target="AsyncCollective(Start|Done)"')


class Array(NamedTuple):
    """One array of an instruction's result type."""

    dtype: str
    shape: tuple[int, ...]
    in_hbm: bool  # a chip's main memory, not one of its small fast ones

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> float:
        """Bytes, without the padding of its tiles."""
        digits = re.search(r"\d+", self.dtype)
        width = BYTES.get(self.dtype) or (int(digits[0]) / 8 if digits else 0)
        return self.size * width


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    arrays: tuple[Array, ...]  # of its result; a tuple's leaves in their order
    opcode: str
    operands: tuple[str, ...]
    arguments: str  # the operands as they are written: a constant's value
    attributes: str
    root: bool

    def called(self, *attributes: str) -> list[str]:
        """Computations named by these attributes, such as `body`."""
        found = []  # one name alone, or several in braces
        for attribute in attributes:
            match = re.search(rf"\b{attribute}=(\{{[^}}]*\}}|%[\w.\-]+)", self.attributes)
            found += NAME.findall(match[1]) if match else []
        return found


Computation = dict[str, Instruction]


class Program(NamedTuple):
    """Computations by name, and which of them is run."""

    computations: dict[str, Computation]
    entry: str


def parse(text: str) -> Program:
    """The computations of a module's text.

    Raises:
        ValueError: there is no entry computation, so the text has another form than expected.
    """
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        header = HEADER.match(line)  # what stands outside of computations is not needed
        if header:
            current = computations.setdefault(header[2], {})
            entry = header[2] if header[1] else entry
        elif line == "}":
            current = None
        elif current is not None and (found := LINE.match(line)):
            instruction = _instruction(found[2], found[3], bool(found[1]))
            current[instruction.name] = instruction
    if not entry:
        raise ValueError(
            f"XLA's text of a program has no ENTRY computation in the form known from JAX {CHECKED}"
        )
    return Program(computations, entry)


def _instruction(name: str, text: str, root: bool) -> Instruction:
    kind, _, rest = _split(text, " ")
    opcode, _, rest = rest.partition("(")
    arguments, _, attributes = _split(rest, ")")
    return Instruction(
        name,
        tuple(_arrays(kind)),
        opcode,
        tuple(NAME.findall(arguments)),
        arguments,
        attributes,
        root,
    )


def _split(text: str, at: str) -> tuple[str, str, str]:
    """`str.partition` at the first `at` outside of brackets."""
    # Tuples, layouts and attributes have commas, spaces and brackets of their own.
    open_brackets: list[str] = []
    for i, character in enumerate(text):
        if not open_brackets and character == at:
            return text[:i], at, text[i + 1 :]
        if character in CLOSING:
            open_brackets.append(CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
    return text, "", ""


def _arrays(kind: str) -> Iterator[Array]:
    for dtype, shape, layout in ARRAY.findall(kind):
        space = re.search(r"S\((\d+)\)", layout)  # none is the main memory, like 0
        sizes = tuple(int(n) for n in shape.split(",") if n)
        yield Array(dtype, sizes, space is None or space[1] == "0")


def trip_count(program: Program, computation: Computation, loop: Instruction) -> int | None:
    """How often a `while` runs its body, None where the text does not say.

    XLA writes it beside the loop, or the loop counts between constants, as `jax.lax.scan` does by
    ones and a product that is computed while its parts arrive by twos.
    """
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes)
    if known:
        return int(known[1])
    # XLA's own note is missing: then the counter's start is in the state that goes in, its end in
    # the condition, and what is added to it in the body.
    condition = program.computations[loop.called("condition")[0]]
    body = program.computations[loop.called("body")[0]]
    place = _counter(condition)
    start = computation[loop.operands[0]]
    result = _root(body)
    # Any other form of loop is not guessed at: it counts as one round and as `Work.endless`.
    if place is None or start.opcode != "tuple" or result.opcode != "tuple":
        return None
    first = _constant(computation, start.operands[place])
    end = _constant(condition, _root(condition).operands[1])
    step = _step(body, result.operands[place])
    if first is None or end is None or not step:
        return None
    return -((first - end) // step)  # rounded up


def _counter(condition: Computation) -> int | None:
    """Which part of the loop's state the condition compares with an end; None: another test."""
    test = _root(condition)
    if test.opcode != "compare" or "direction=LT" not in test.attributes:
        return None
    index = re.search(r"index=(\d+)", condition[test.operands[0]].attributes)
    return int(index[1]) if index else None


def _step(body: Computation, name: str) -> int | None:
    """What the body adds to its counter, whose next value is called `name`."""
    added = body[name]
    if added.opcode != "add":
        return None
    return next((n for n in (_constant(body, x) for x in added.operands) if n), None)


def _root(computation: Computation) -> Instruction:
    return next(i for i in computation.values() if i.root)


def _constant(computation: Computation, name: str) -> int | None:
    """The value of a whole number that the text says, behind copies of it."""
    i = computation[name]
    while i.opcode in ("copy", "bitcast"):  # libtpu copies constants to where loops count
        i = computation[i.operands[0]]
    return int(i.arguments) if i.opcode == "constant" else None
