"""A LoRA distillation step at Qwen2.5-0.5B's shape: ours beside what else is used, in one run.

    python benchmarks/distil_step.py --peers PYTHON --tunix PYTHON

What all ways have in common is in `beside.py`; student and teacher have the same shape and other
random weights. Text for scale; the forward KL to a teacher in the loop; and the teacher's 64
likeliest words, which we read from storage and Tunix takes from its live teacher. TRL's and our
losses of the live teacher must agree; Tunix's is a mean over one more position. Memory beyond
weights: the peak without the weights of the models in it.
"""

import sys
import tempfile
from pathlib import Path

import tyro
from beside import OURS, TrainOptions, Way, measure, random_model

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


def main(how: TrainOptions) -> None:
    """Print a table.

    Args:
        how: what is trained, and with which peers.
    """
    with tempfile.TemporaryDirectory() as root:
        student = f"{root}/student"
        teacher = f"{root}/teacher"
        random_model(student, how.layers)
        random_model(teacher, how.layers, seed=1)
        weights = sum(file.stat().st_size for file in Path(student).glob("*.safetensors")) / 2**20
        kinds = {
            "text": [Way(OURS, sys.executable, "ours.py")],
            "live teacher": [
                Way(OURS, sys.executable, "ours.py", ("live", teacher)),
                Way("TRL GKDTrainer", how.peers, "trl_gkd.py", (teacher,)),
                Way("Tunix", how.tunix, "tunix_kd.py", (teacher, "0")),
            ],
            "top 64": [
                Way(f"{OURS}, stored", sys.executable, "ours.py", ("stored", teacher, str(K))),
                Way("Tunix, live teacher", how.tunix, "tunix_kd.py", (teacher, str(K))),
            ],
        }
        rows = []
        for kind, ways in kinds.items():
            sizes = (how.length, how.steps, how.share, "float32")
            found = measure(ways, how.rounds, student, *sizes)
            ours = next(iter(found.values()))
            for name, row in found.items():
                models = 1 if "stored" in name or kind == "text" else 2
                rows.append(
                    (
                        kind,
                        name,
                        f"{row['cpu s']:.2f}",
                        f"{row['cpu s'] / ours['cpu s']:.2f}",
                        f"{how.length / row['wall s']:.0f}",
                        f"{row['peak MiB']:,.0f}",
                        f"{row['peak MiB'] - models * weights:,.0f}",
                        f"{row['first loss']:.4f}",
                    )
                )
    print(markdown_table(HEAD, rows))


if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.OmitArgPrefixes,))
