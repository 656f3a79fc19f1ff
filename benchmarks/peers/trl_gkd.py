"""TRL's GKDTrainer on given text, beta 0 (forward KL), with a PEFT adapter; option: the teacher."""

import functools
import sys

import datasets
import torch
from measure import arguments, sequence
from transformers import AutoModelForCausalLM
from trl.experimental.gkd import GKDConfig, GKDTrainer
from trl_run import run

folder, length, steps, share, _ = arguments()
torch.set_num_threads(2)
model, teacher = (
    AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    for name in (folder, sys.argv[6])
)
tokens, learnt = sequence(length, share, model.config.vocab_size)
ids = torch.tensor(tokens)
batch = {
    "input_ids": ids,
    "attention_mask": torch.ones_like(ids),
    "labels": torch.where(torch.tensor(learnt), ids, -100),
}
trainer = functools.partial(
    GKDTrainer,
    model=model,
    teacher_model=teacher,
    data_collator=lambda rows: dict(batch),
    train_dataset=datasets.Dataset.from_list([{"number": i} for i in range(steps + 1)]),
)
run(trainer, GKDConfig, length, steps, lmbda=0.0, beta=0.0, temperature=1.0)
