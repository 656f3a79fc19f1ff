"""Keys, computed again from the facts alone: what a question asks is read from its words."""

import datetime
import re

from duomem_jax.worlds.dialogues.generate.tables import tables

MONTH = r"(?:[A-Z][a-z]+ )"
DATE = re.compile(rf"(?:(?:on|in) |for )((?:the week before )?(?:\d+ )?{MONTH}?20\d\d)")


def forms(which):
    """(slot, pattern) of the questions of one form."""
    found = []
    for side in (False, True):
        for slot, table in tables(side)["slots"].items():
            for template in table.get("ask", {}).get(which, []):
                found.append((slot, pattern(template)))
    return found


def pattern(template):
    parts = re.split(r"({\w+})", template)
    known = set()
    out = []
    for part in parts:
        name = part.strip("{}")
        if not part.startswith("{"):
            out.append(re.escape(part))
        elif name in known:
            out.append(f"(?P={name})")
        else:
            known.add(name)
            out.append(f"(?P<{name}>.+?)")
    return re.compile("".join(out), re.IGNORECASE)


FORMS = {
    which: forms(which)
    for which in ("now", "before", "when", "ended", "still", "list", "ever", "turned", "kind")
}


def readings(question, owners):
    """(form, slot, owner, groups) of whatever a question may ask."""
    for which, patterns in FORMS.items():
        for slot, form in patterns:
            found = form.fullmatch(question.text)
            if found and found.groupdict().get("X") in owners:
                yield which, slot, found["X"], found.groupdict()


def of(dialogue, owner, slot):
    """The last fact on each thing of a slot, and all of them."""
    last = {}
    for fact in dialogue.facts:
        if fact.about == f"{owner}/{slot}" or fact.about.startswith(f"{owner}/{slot}/"):
            last[fact.about] = fact
    return list(last.values())


def dated(text):
    found = DATE.search(text)
    return found[1][0].upper() + found[1][1:] if found else ""


def expected(dialogue, question):
    """The key, from the facts; None where this reader does not know the form."""
    owners = {fact.about.split("/")[0] for fact in dialogue.facts}
    keys = [key_of(dialogue, *reading) for reading in readings(question, owners)]
    # "When did Ben start learning Welsh?" could be of a hobby "learning Welsh", which nobody has.
    return max(keys, default=None, key=len)


def key_of(dialogue, which, slot, owner, said):
    facts = of(dialogue, owner, slot)
    if which == "now":
        return "" if not facts or facts[-1].ends else facts[-1].value
    if which == "before":
        values = [f.value for f in dialogue.facts if f.about == f"{owner}/{slot}"]
        values = list(dict.fromkeys(values))
        return values[values.index(facts[-1].value) - 1] if facts else ""
    if which in ("when", "ended"):
        found = [
            dated(f.text)
            for f in dialogue.facts
            if f.about.startswith(f"{owner}/{slot}")
            and f.ends == (which == "ended")
            and f.value == said.get("v", f.value)
        ]
        return next(filter(None, reversed(found)), "")
    if which == "still":
        found = [f for f in facts if f.value.casefold() == said["v"].casefold()]
        return "" if not found else "No" if found[-1].ends else "Yes"
    if which in ("list", "ever"):
        return ", ".join(f.value for f in facts if which == "ever" or not f.ends)
    if which == "turned":
        return facts[-1].value if facts else ""
    named = [f for f in dialogue.facts if f.value == said["v"]]
    return re.search(r" (?:has|got) an? (.+?) named", named[0].text)[1] if named else ""


def test_keys_follow_from_the_facts(dialogues):
    checked = total = 0
    for dialogue in dialogues:
        for question in dialogue.questions:
            if question.kind == "adversarial":
                continue
            total += 1
            key = expected(dialogue, question)
            if key:
                checked += 1
                assert key == question.answer, question
    assert checked > 0.4 * total


def test_traps_have_no_answer_in_the_facts(dialogues):
    checked = 0
    for dialogue in dialogues:
        for question in dialogue.questions:
            if question.kind != "adversarial":
                continue
            key = expected(dialogue, question)
            if key is not None:
                checked += 1
                assert key == "", question
    assert checked > len(dialogues)


def test_what_was_never_so_is_no_fact(dialogues):
    """Wishes, jokes, dreams and quotations tempt, and are not noted."""
    tempted = 0
    for dialogue in dialogues:
        noted = {turn for fact in dialogue.facts for turn in fact.evidence}
        values = {fact.value for fact in dialogue.facts}
        for question in dialogue.questions:
            if question.kind == "adversarial" and not set(question.evidence) & noted:
                tempted += 1
                assert question.trap not in values
    assert tempted > 20


def test_details_of_what_happened_are_the_corrected_ones(dialogues):
    for dialogue in dialogues:
        details = {}
        for fact in dialogue.facts:
            if "/detail/" in fact.about:
                details.setdefault(fact.about, []).append(fact)
        wrong = {f.value for found in details.values() for f in found[:-1]}
        right = {found[-1].value for found in details.values()}
        right |= {f.value for f in dialogue.facts if "/detail/" not in f.about}
        assert not {q.answer for q in dialogue.questions} & (wrong - right)


def test_days_between_are_counted(dialogues):
    counted = 0
    for dialogue in dialogues:
        days = {}
        for fact in dialogue.facts:
            if "/event/" in fact.about and re.match(r"\d+ \w+ \d+$", fact.value):
                days[fact.about] = datetime.datetime.strptime(fact.value, "%d %B %Y")
        gaps = {
            f"{abs((a - b).days)} days"
            for one, a in days.items()
            for two, b in days.items()
            if one.split("/")[0] == two.split("/")[0]
        }
        for question in dialogue.questions:
            if re.fullmatch(r"\d+ days", question.answer):
                counted += 1
                assert question.answer in gaps
    assert counted > 5
