"""What a teacher says of the tokens of the replies, as rows store it.

A row with at most M reply tokens has, for the i-th of them, C candidates:

    target_ids        uint16 [M,C], and target_ids_high uint8 [M,C] for larger vocabularies
    target_log_probs  float16 [M,C], the teacher's; or the log-weights of samples
    target_rest       float16 [M], log-probability of all other tokens; not for samples
    target_mask       uint8 [M], 1 where there are targets

That is at most 5 bytes a candidate and 3 a token. A candidate of log-probability l is off by at
most |l| / 2048.
"""

from typing import Literal

import numpy as np

from duomem_jax.records.store.features import Layout

Kind = Literal["topk", "samples"]
_SMALL = 2**16


def target_layout(tokens: int, candidates: int, vocab: int, kind: Kind) -> Layout:
    """Record layout of the targets of a row.

    Args:
        tokens: M, the most reply tokens of any row.
        candidates: C.
        vocab: V of the teacher.
        kind: the likeliest tokens, or samples.
    """
    shape = tokens, candidates
    layout: Layout = {"target_ids": ("uint16", shape)}
    if vocab > _SMALL:
        layout["target_ids_high"] = ("uint8", shape)
    layout["target_log_probs"] = ("float16", shape)
    if kind == "topk":
        layout["target_rest"] = ("float16", (tokens,))
    return layout | {"target_mask": ("uint8", (tokens,))}


def pack_ids(ids: np.ndarray, vocab: int) -> dict[str, np.ndarray]:
    """The fields that hold `ids`, which are below `vocab`."""
    fields = {"target_ids": (ids % _SMALL).astype(np.uint16)}
    if vocab > _SMALL:
        fields["target_ids_high"] = (ids // _SMALL).astype(np.uint8)
    return fields


def unpack_ids(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The batch with int32 `target_ids`."""
    rest = {name: x for name, x in batch.items() if name != "target_ids_high"}
    ids = batch["target_ids"].astype(np.int32)
    if "target_ids_high" in batch:
        ids += batch["target_ids_high"].astype(np.int32) * _SMALL
    return rest | {"target_ids": ids}
