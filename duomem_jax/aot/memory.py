"""Traffic of a chip's main memory: the bytes that an instruction reads and writes there."""

from duomem_jax.aot.hlo import ASYNC, Array, Computation, Instruction, Program

# Names of what is there already, and what stands for the instructions in it.
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota"),
    *("partition-id", "replica-id", "opt-barrier", "while", "conditional", "call"),
}
SLICES = ("dynamic-slice", "slice", "gather")


def memory_traffic(program: Program, computation: Computation, i: Instruction) -> float:
    """Bytes; of slices no more than they are, and nothing for what stays in a faster memory."""
    if i.opcode in FREE or i.opcode.endswith("-done") or "AllocateBuffer" in i.attributes:
        return 0
    operands = [computation[name] for name in i.operands]
    if i.opcode == "fusion":
        return _fusion(program.computations[i.called("calls")[0]], i, operands)
    if i.opcode in SLICES:
        return 2 * _bytes(i.arrays)
    if i.opcode == "dynamic-update-slice":  # in place
        return 2 * _bytes(operands[1].arrays)
    if i.opcode.endswith("-start"):  # its result names the source, too
        return _bytes(i.arrays[:2])
    return _bytes(i.arrays) + sum(_bytes(x.arrays) for x in operands)


def _fusion(inner: Computation, i: Instruction, operands: list[Instruction]) -> float:
    if any(ASYNC.search(x.attributes) for x in inner.values()):
        return 0  # hands a transfer on
    parameters = [x for x in inner.values() if x.opcode == "parameter"]
    total = sum(_read(inner, x, _bytes(operands[int(x.arguments)].arrays)) for x in parameters)
    root = next(x for x in inner.values() if x.root)
    results = [inner[name] for name in root.operands] if root.opcode == "tuple" else [root]
    for result, array in zip(results, i.arrays, strict=False):
        if result.opcode == "dynamic-update-slice":
            new = inner[result.operands[1]].arrays[0]
            array = new._replace(in_hbm=array.in_hbm)
        if result.opcode != "parameter":
            total += _bytes((array,))
    return total


def _read(inner: Computation, parameter: Instruction, nbytes: float) -> float:
    """Of an operand of `nbytes`, those that a fusion reads."""
    total: float = 0
    for user in (x for x in inner.values() if parameter.name in x.operands):
        first = user.operands[0] == parameter.name
        if user.opcode in SLICES and first:
            total += sum(a.nbytes for a in user.arrays)
        elif user.opcode != "tuple" and not (user.opcode == "dynamic-update-slice" and first):
            return nbytes
    return min(total, nbytes)


def _bytes(arrays: tuple[Array, ...]) -> float:
    return sum(a.nbytes for a in arrays if a.in_hbm)
