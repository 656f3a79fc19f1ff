"""transformers and PEFT in a plain loop."""

import peft
import torch
from measure import arguments, report, sequence
from transformers import AutoModelForCausalLM

folder, length, steps, share, dtype = arguments()
torch.set_num_threads(2)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
lora = peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
model = peft.get_peft_model(base, lora).train()
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)
tokens, learnt = sequence(length, share, model.config.vocab_size)
ids = torch.tensor(tokens)
labels = torch.where(torch.tensor(learnt), ids, -100)


def step() -> float:
    """One update."""
    loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


report(step, steps)
