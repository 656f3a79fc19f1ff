"""What a reply means, as chat models and as our own students write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duomem_jax.text.turns import parse_action, reply

INVENTED = (
    "Thought: a\nAction: go to desk 1\nObservation: You see a pen 1.\n"
    "Thought: b\nAction: take pen 1 from desk 1"
)
WRITTEN = {
    "two lines": ("Thought: a\nAction: go to desk 1", ("a", "go to desk 1")),
    "invented observation": (INVENTED, ("a", "go to desk 1")),
    "invented, in bold": (
        INVENTED.replace("Observation:", "**Observation:**"),
        ("a", "go to desk 1"),
    ),
    "observation first": (
        "Observation: I see.\n" + INVENTED,
        ("Observation: I see.\nThought: a", "go to desk 1"),
    ),
    "observation inside a thought": (
        "Thought: My last Observation: no pen.\nAction: look",
        ("My last Observation: no pen.", "look"),
    ),
    "two actions, nothing invented": (
        "Thought: a\nAction: look\nThought: b\nAction: go",
        ("a\nAction: look\nThought: b", "go"),
    ),
    "the word in a thought": (
        "Thought: I should not write Action: twice\nAction: look",
        ("I should not write Action: twice", "look"),
    ),
    "bold": ("**Thought:** a\n**Action:** go to desk 1", ("a", "go to desk 1")),
    "bold, colon outside": ("**Thought**: a\n\n**Action**: go to desk 1", ("a", "go to desk 1")),
    "bold as a whole": ("**Action: go to desk 1**", ("", "go to desk 1")),
    "heads": ("### Thought: a\n### Action: look", ("a", "look")),
    "back-quotes": ("Thought: a\nAction: `go to desk 1`", ("a", "go to desk 1")),
    "quotes": ('Action: "go to desk 1"', ("", "go to desk 1")),
    "curly quotes": ("Action: “go to desk 1”", ("", "go to desk 1")),
    "quotes inside": ('Action: say "hello"', ("", 'say "hello"')),
    "fence": ("Action:\n```\ngo to desk 1\n```", ("", "go to desk 1")),
    "fence with a language": ("Action:\n```text\ngo to desk 1\n```", ("", "go to desk 1")),
    "a space before the colon": ("Thought : a\nAction : look", ("a", "look")),
    "carriage returns": ("Thought: a\r\nAction: look\r\nmore", ("a", "look")),
    "none": ("I am sorry.", ("I am sorry.", "")),
    "nothing after it": ("Thought: a\nAction:", ("a", "")),
    "empty": ("", ("", "")),
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_what_chat_models_write(text, expected):
    assert parse_action(text) == expected


def test_an_action_that_was_cut_has_no_say_but_a_whole_one_has():
    assert parse_action("Thought: a\nAction: go to cabinet 1", cut=True) == ("a", "")
    assert parse_action("Action: go to cabinet 1\nbe", cut=True) == ("", "go to cabinet 1")
    assert parse_action("Action: go\nObservation: You", cut=True) == ("", "go")


def plain_rule(text, cut):
    """The rule for what trained students write: the last action, nothing dropped."""
    before, found, after = text.rpartition("Action:")
    thought, action = (before, after) if found else (text, "")
    thought = thought.strip().removeprefix("Thought:").strip()
    lines = action.strip().splitlines()
    whole = lines and not (cut and len(lines) == 1)
    return thought, lines[0].strip() if whole else ""


PIECES = st.sampled_from(
    ["Thought:", "Action:", " ", "\n", "go to desk 1", "I see.", "put it", ","]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
def test_plain_replies_are_read_as_ever(text, cut):
    assert parse_action(text, cut=cut) == plain_rule(text, cut)


LINE = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters=" "), max_size=20
)


@given(LINE, LINE)
def test_what_is_rendered_is_read_back(thought, action):
    assert parse_action(reply(thought, action)) == (thought.strip(), action.strip())
