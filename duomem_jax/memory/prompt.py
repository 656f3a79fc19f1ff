"""How memories are shown to an agent: before the first observation, as MemP does it."""

import json

GUIDELINES_HEADER = "Here are some guidelines of how to solve the similar task:\n"


def render_guidelines(memories: list[dict[str, str]]) -> str:
    """Text of some memories, each {"task_name", "guidelines"}; "" for none.

    Source: MemP, arXiv 2508.06433 (zjunlp/MemP, run_memp_offline.py).
    """
    return GUIDELINES_HEADER + json.dumps(memories, ensure_ascii=False) if memories else ""
