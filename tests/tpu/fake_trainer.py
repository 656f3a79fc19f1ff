"""What stands for train.py on the fake hosts: counts steps, keeps the count in the bucket.

`plan.json` lists what becomes of each start: "train" to the end, "last" for ever, or the exit
status after a step, or each of these by host. Host 0 writes the checkpoint and at last the adapter.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

WORLD, HOST = Path(os.environ["FAKE_CLOUD"]), os.environ["FAKE_HOST"]
STEPS = 4


def main(args: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    record = WORLD / f"started{HOST}.jsonl"
    starts = len(record.read_text().splitlines()) if record.exists() else 0
    output = WORLD / "bucket" / args[args.index("--output") + 1].removeprefix("gs://")
    checkpoint = output / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    with record.open("a") as f:
        f.write(json.dumps({"args": args, "step": step}) + "\n")
    plan = json.loads((WORLD / "plan.json").read_text())
    fate = plan[min(starts, len(plan) - 1)]
    if isinstance(fate, dict):  # of each host
        fate = fate[HOST]
    output.mkdir(parents=True, exist_ok=True)
    while step < STEPS or fate == "last":
        time.sleep(0.3)
        step += 1
        if HOST == "0":
            checkpoint.write_text(str(step))
        if isinstance(fate, int):
            sys.exit(fate)
    if HOST == "0":
        (output / "adapter").mkdir(exist_ok=True)
        (output / "adapter" / "adapter_model.safetensors").touch()


if __name__ == "__main__":
    main(sys.argv[1:])
