"""Paid answers on disk, so that a killed run never pays for one twice."""

import dataclasses
import json
import threading
import time
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

from duomem_jax.base.io import atomic_write_text
from duomem_jax.base.log import Log
from duomem_jax.speak.served.bill import Bill, answer_counts
from duomem_jax.speak.served.server import Server

SAVED_EVERY = 1.0  # seconds between two rewritings of the bill


class Ledger:
    """Answers by the name of their request, and the bill over all of them; for many threads.

    `<record>.answers` is a `Log` of compressed JSON, `<record>.usage.json` beside it the bill.

    Raises:
        UserError: another process has it open, or the disk is full.
    """

    def __init__(self, record: Path, model: str, server: Server):
        self._usage = record.with_name(f"{record.name}.usage.json")
        self.path = record.with_name(f"{record.name}.answers")
        self._model, self._server = model, server
        self._log = Log(self.path)
        self._lock = threading.Lock()  # of the bill's file
        self._saved = 0.0
        self._dirty = self._log.units > 0  # a kill may have left the bill behind its answers

    @property
    def bill(self) -> Bill:
        """What all answers have cost so far."""
        return Bill.of(self._log.counts, self._server)

    def find(self, key: str) -> Any:
        """JSON of the answer to a request, or None."""
        # Read from disk each time: a long run's answers need not fit into memory.
        found = self._log.read(key)
        return json.loads(zlib.decompress(found[0])) if found else None

    def keep(self, key: str, body: Any, attempts: int) -> None:
        """Store an answer; it is safe from a kill when this returns."""
        # The whole answer, not what was read from it: another reader can take it apart later.
        content = zlib.compress(json.dumps(body).encode())
        self._log.append(key, [content], answer_counts(body, attempts))
        self._dirty = True
        # Not each time: whatever the file lacks can be summed again from the log.
        if time.monotonic() - self._saved > SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Bring the bill on disk up to date."""
        with self._lock:
            if not self._dirty:
                return
            # Cleared before the bill is summed: an answer that comes meanwhile sets it again.
            self._dirty, self._saved = False, time.monotonic()
            bill = self.bill
            prices = {
                "prompt": self._server.prompt_price,
                "completion": self._server.completion_price,
            }
            facts = {
                "model": self._model,
                "server": self._server.address,
                **dataclasses.asdict(bill),
                "dollars_per_million_tokens": prices,
                "versions": {"duomem-jax": metadata.version("duomem-jax")},
            }
            atomic_write_text(self._usage, json.dumps(facts, indent=1) + "\n")

    def close(self) -> None:
        """Save the bill and let others write."""
        # The lock is let go even where the bill cannot be written.
        try:
            self.save()
        finally:
            self._log.close()
