"""A server whose model makes no mistake: it answers the prompts of all operations by rules."""

import json
import re

from faulty_server import completion

from duomem_jax.worlds.dialogues import teacher

_FACT = re.compile(r"<fact>\n\[.*?\] (.*)\n</fact>")
_MEMORY = re.compile(r"^\d+\. \[.*?\] (.*)$", re.M)
_TURN = re.compile(r"^(\d+)\. [^:]+: (.*)$", re.M)


class Teacher:
    """Knows one dialogue."""

    def __init__(self, dialogue):
        self.dialogue = dialogue
        self.said = {
            " ".join(turn.text.split()): turn.id for s in dialogue.sessions for turn in s.turns
        }
        self.facts = {fact.text: fact for fact in dialogue.facts}
        self.asked = []

    def __call__(self, body):
        text = body["messages"][-1]["content"]
        self.asked.append(text)
        if "<turns>" in text:
            return completion(json.dumps(self.extract(text)))
        return completion(json.dumps(self.update(text)))

    def extract(self, text):
        lines = text.split("<turns>\n")[1].split("\n</turns>")[0]
        numbers = {}
        for number, said in _TURN.findall(lines):
            said = said.split(" [shares ")[0]
            numbers[self.said[said]] = int(number)
        session = next(
            i for i, s in enumerate(self.dialogue.sessions) if any(t.id in numbers for t in s.turns)
        )
        facts = teacher.extract(self.dialogue, session, numbers)
        return {
            "facts": [
                {"turn": max(numbers.get(t, 0) for t in f.evidence), "fact": f.text} for f in facts
            ]
        }

    def update(self, text):
        fact = self.facts[_FACT.search(text)[1]]
        known = [self.facts[said] for said in _MEMORY.findall(text)]
        found = []
        for decision in teacher.update(known, fact):
            place = {} if decision.index is None else {"id": decision.index + 1}
            if decision.kind == teacher.UPDATE and decision.text != fact.text:
                # From now on this text says the fact too.
                self.facts[decision.text] = fact
                place["text"] = decision.text
            if decision.kind != teacher.KEEP:
                found.append({"do": decision.kind, **place})
        return {"operations": found}
