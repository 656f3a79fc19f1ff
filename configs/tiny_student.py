"""The tiny student base (0.7 M parameters), trained on wandering and on made-up tasks.

python -m duomem_jax.tiny.start runs/tiny
python -m duomem_jax.tiny.rows student runs/tiny/student-rows
python train.py --config configs/tiny_student.py
"""

from duomem_jax.config import TrainConfig
from duomem_jax.tiny.start import pretraining


def get_config() -> TrainConfig:
    """About an hour on one slow core."""
    return pretraining("student", steps=4200)
