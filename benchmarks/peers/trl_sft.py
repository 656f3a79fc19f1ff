"""TRL's SFTTrainer with a PEFT adapter, its gradient checkpointing turned off."""

import functools

import datasets
import torch
from measure import arguments, sequence
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer
from trl_run import run

folder, length, steps, share, _ = arguments()
torch.set_num_threads(2)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokens, learnt = sequence(length, share, model.config.vocab_size)
row = {"input_ids": tokens[0].tolist(), "completion_mask": learnt[0].astype(int).tolist()}
rows = datasets.Dataset.from_list([row] * (steps + 1))
run(functools.partial(SFTTrainer, model=model, train_dataset=rows), SFTConfig, length, steps)
