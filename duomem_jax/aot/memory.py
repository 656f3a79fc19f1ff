"""Traffic of a chip's main memory: the bytes that an instruction reads and writes there."""

from duomem_jax.aot.hlo import ASYNC, Array, Computation, Instruction, Program

# Names of what is there already, and what stands for the instructions in it.
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota"),
    *("partition-id", "replica-id", "opt-barrier", "while", "conditional", "call"),
}
# What reads a part of its first operand.
SLICES = ("dynamic-slice", "slice", "gather")


def memory_traffic(program: Program, computation: Computation, i: Instruction) -> float:
    """Bytes of main memory that an instruction outside of a fusion reads and writes.

    A slice counts as much as it holds, not as the array that it is cut from, and what stays in
    one of the chip's faster memories does not count.
    """
    # A transfer counts where it starts; a buffer that is only reserved holds nothing yet.
    if i.opcode in FREE or i.opcode.endswith("-done") or "AllocateBuffer" in i.attributes:
        return 0
    operands = [computation[name] for name in i.operands]
    if i.opcode == "fusion":
        given = [x.arrays[0]._replace(in_hbm=_bytes(x.arrays) > 0) for x in operands]
        return _fusion(program, program.computations[i.called("calls")[0]], i, given)
    if i.opcode in SLICES:
        return 2 * _bytes(i.arrays)  # read and written
    if i.opcode == "dynamic-update-slice":  # in place
        return 2 * _bytes(operands[1].arrays)
    if i.opcode.endswith("-start"):  # its result names the source, too
        source, result = i.arrays[:2]
        if i.opcode == "slice-start":
            source = result._replace(in_hbm=source.in_hbm)
        return _bytes((source, result))
    return _bytes(i.arrays) + sum(_bytes(x.arrays) for x in operands)


def _fusion(program: Program, inner: Computation, i: Instruction, given: list[Array]) -> float:
    """Bytes of a fusion, whose operands are `given`, for all that is computed in it."""
    if any(ASYNC.search(x.attributes) for x in inner.values()):
        return 0  # hands a transfer on
    # Between its operands and its results a fusion's values stay on the chip.
    total = sum(_read(program, inner, n, array)[0] for n, array in enumerate(given))
    root = next(x for x in inner.values() if x.root)
    results = [inner[name] for name in root.operands] if root.opcode == "tuple" else [root]
    for result, array in zip(results, i.arrays, strict=False):
        if result.opcode == "dynamic-update-slice":
            # It is done in place: of the whole array only the new slice is written.
            new = inner[result.operands[1]].arrays[0]
            array = new._replace(in_hbm=array.in_hbm)
        if result.opcode != "parameter":  # those are handed on, not written
            total += _bytes((array,))
    return total


def _read(program: Program, inner: Computation, number: int, whole: Array) -> tuple[float, bool]:
    """What a fusion reads of one operand.

    Args:
        program: the fusion is part of.
        inner: the fusion's own computation.
        number: of the operand, and of the parameter that stands for it in `inner`.
        whole: the operand.

    Returns:
        (bytes: those of the slices where nothing else is read, and whether the operand is the
        fusion's result as well).
    """
    if not whole.in_hbm:
        return 0, False
    parameters = (x for x in inner.values() if x.opcode == "parameter")
    names = [x.name for x in parameters if int(x.arguments) == number]
    total: float = 0
    for name in names:  # grows: what is the same array under other names is followed, too
        for user in (x for x in inner.values() if name in x.operands):
            places = [n for n, operand in enumerate(user.operands) if operand == name]
            if user.opcode == "bitcast":
                names.append(user.name)
            elif user.opcode == "fusion":
                part = program.computations[user.called("calls")[0]]
                for read, same in (_read(program, part, place, whole) for place in places):
                    total += read
                    names += [user.name] if same else []
            # As the array that is cut; as an index it is read whole, below.
            elif user.opcode in SLICES and places == [0]:
                total += sum(a.nbytes for a in user.arrays)
            # A tuple only passes it on, and the target of an update in place is not read. Any other
            # use reads all of it.
            elif user.opcode != "tuple" and (user.opcode, places) != ("dynamic-update-slice", [0]):
                return whole.nbytes, False
    # Slices may overlap, or be cut several times: more than the whole is not read.
    return min(total, whole.nbytes), any(inner[name].root for name in names)


def _bytes(arrays: tuple[Array, ...]) -> float:
    return sum(a.nbytes for a in arrays if a.in_hbm)
