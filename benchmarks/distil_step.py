"""A LoRA distillation step at Qwen2.5-0.5B's shape: ours beside what else is used, in one run.

    python benchmarks/distil_step.py --peers PYTHON --tunix PYTHON

Student and teacher have the same shape and other random weights; rank 8 on all linear layers, one
row, AdamW, two threads. Text for scale; the forward KL to a teacher in the loop; and the teacher's
64 likeliest words, which we read from storage and Tunix takes from its live teacher. Each way runs
in its own process, by turns. TRL's and our losses of the live teacher must agree; Tunix's is a mean
over one more position. Memory beyond weights: the peak without the weights of the models in it.
"""

import sys
import tempfile
from pathlib import Path

import tyro
from beside import OURS, Way, measure, random_model

from duomem_jax.report.table import markdown_table

K = 64
HEAD = (
    "step",
    "way",
    "CPU s",
    "times ours",
    "tokens / wall s",
    "peak MiB",
    "beyond weights MiB",
    "first loss",
)


def main(
    peers: str = "",
    tunix: str = "",
    length: int = 512,
    steps: int = 3,
    share: float = 1.0,
    layers: int = 24,
    rounds: int = 2,
) -> None:
    """Print a table.

    Args:
        peers: an interpreter that has torch, transformers, peft, trl and datasets.
        tunix: an interpreter that has google-tunix.
        length: tokens of the row.
        steps: timed steps of each process.
        share: share of the tokens that carry loss.
        layers: fewer than 24 for a quick look.
        rounds: processes of each way; the fastest counts.
    """
    with tempfile.TemporaryDirectory() as root:
        student, teacher = f"{root}/student", f"{root}/teacher"
        random_model(student, layers)
        random_model(teacher, layers, seed=1)
        weights = sum(file.stat().st_size for file in Path(student).glob("*.safetensors")) / 2**20
        kinds = {
            "text": [Way(OURS, sys.executable, "ours.py")],
            "live teacher": [
                Way(OURS, sys.executable, "ours.py", ("live", teacher)),
                Way("TRL GKDTrainer", peers, "trl_gkd.py", (teacher,)),
                Way("Tunix", tunix, "tunix_kd.py", (teacher, "0")),
            ],
            "top 64": [
                Way(f"{OURS}, stored", sys.executable, "ours.py", ("stored", teacher, str(K))),
                Way("Tunix, live teacher", tunix, "tunix_kd.py", (teacher, str(K))),
            ],
        }
        rows = []
        for kind, ways in kinds.items():
            found = measure(ways, rounds, student, length, steps, share, "float32")
            ours = next(iter(found.values()))
            for name, row in found.items():
                models = 1 if "stored" in name or kind == "text" else 2
                rows.append(
                    (
                        kind,
                        name,
                        f"{row['cpu s']:.2f}",
                        f"{row['cpu s'] / ours['cpu s']:.2f}",
                        f"{length / row['wall s']:.0f}",
                        f"{row['peak MiB']:,.0f}",
                        f"{row['peak MiB'] - models * weights:,.0f}",
                        f"{row['first loss']:.4f}",
                    )
                )
    print(markdown_table(HEAD, rows))


if __name__ == "__main__":
    tyro.cli(main)
