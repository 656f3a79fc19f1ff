"""What stands for `duomem play` and its like on the fake hosts: a part with a few units of work.

They are counted in the bucket, as the real stages keep theirs (`base/mirror.py`), and the part that
ends last says `finished`. `plan.json` is as for the fake trainer; 2, 75 and others end a start.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

WORLD, HOST = Path(os.environ["FAKE_CLOUD"]), os.environ["FAKE_HOST"]
UNITS = 4


def main(args: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    index, count = args[args.index("--shard") + 1].split("/")
    output = WORLD / "bucket" / args[1].removeprefix("gs://")
    output.mkdir(parents=True, exist_ok=True)
    mine = output / f"part{index}"
    units = int(mine.read_text() or 0) if mine.exists() else 0
    # A file for each part: several write at once.
    with (WORLD / f"parts{index}.jsonl").open("a+") as f:
        f.seek(0)
        starts = len(f.readlines())
        tpu = {name: value for name, value in os.environ.items() if "TPU_" in name}
        record = {"host": HOST, "args": args, "units": units, "tpu": tpu}
        f.write(json.dumps(record) + "\n")
    plan = json.loads((WORLD / "plan.json").read_text())
    fate = plan[min(starts, len(plan) - 1)]
    while units < UNITS or fate == "last":
        time.sleep(0.3)
        units += 1
        mine.write_text(str(units))
        if isinstance(fate, int):
            sys.exit(fate)
    mine.with_suffix(".ended").touch()
    if len(list(output.glob("*.ended"))) == int(count):
        (output / "finished").touch()


if __name__ == "__main__":
    main(sys.argv[1:])
