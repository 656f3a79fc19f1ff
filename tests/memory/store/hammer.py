"""Many processes write one store, and are killed at random moments.

    python hammer.py STORE PROCESSES KILLS SEED

Prints, for each process that there was, what it began and what it was told to be done, as JSON.
Processes are forked, so that each starts in a millisecond and 200 kills take seconds.
"""

import itertools
import json
import os
import random
import signal
import sys
import time

from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.operations.records import Add, Delete, Update
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store

SHARED = "everyone knows this"


def work(path, name, out):
    """Write until killed; each line is an intention or its completion."""
    rng = random.Random(name)

    def say(*words):
        os.write(out, (json.dumps(words) + "\n").encode())

    with Store.open(path, embedder=HashingEmbedder(16)) as store:
        store.apply([Add(SHARED)], Origin("hammer", "all"))
        ids = []
        for i in itertools.count():
            text = f"{name} says {i}"
            match rng.random():
                case r if r < 0.6 or not ids:
                    operation, kind = Add(text), "add"
                case r if r < 0.8:
                    operation, kind = Update(ids[-1], text), "update"
                case r if r < 0.99:
                    operation, kind = Delete(ids[-1]), "delete"
                case _:
                    operation, kind = None, "forget"
            say("begin", kind, text)
            if operation is None:
                done = store.forget(ids=ids[-1:]) == ids[-1:]
            else:
                (applied,) = store.apply([operation], Origin("hammer", name))
                done = applied.status in ("added", "updated", "deleted")
            if kind == "add":
                ids.append(applied.id)
            elif kind in ("delete", "forget"):
                ids.pop()
            seen = [f.entry.text for f in store.recall(text, who=name, k=1)]
            if not done or (kind in ("add", "update") and seen != [text]):
                say("wrong", kind, text)
            say("end", kind, text)


def start(path, name):
    """(process, pipe) of a new worker."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        try:
            work(path, name, writing)
        except BaseException as e:
            os.write(writing, (json.dumps(["wrong", "error", repr(e)]) + "\n").encode())
        os._exit(1)
    os.close(writing)
    return process, reading


def end(worker):
    """Kill a worker; what it said."""
    process, reading = worker
    os.kill(process, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().split(b"\n")
    os.waitpid(process, 0)
    # The last line may be cut off, as its writer was killed.
    return [json.loads(line) for line in lines[:-1]]


def main(path, processes, kills, seed):
    rng, names, said = random.Random(seed), itertools.count(), {}
    running = {}
    for _ in range(processes):
        name = f"worker{next(names)}"
        running[name] = start(path, name)
    for _ in range(kills):
        time.sleep(rng.expovariate(1 / 0.03))
        name = rng.choice(sorted(running))
        said[name] = end(running.pop(name))
        name = f"worker{next(names)}"
        running[name] = start(path, name)
    time.sleep(0.3)
    for name, worker in running.items():
        said[name] = end(worker)
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
