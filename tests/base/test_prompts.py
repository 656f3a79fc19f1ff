import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import load_prompt
from duomem_jax.memory.write import speaker
from duomem_jax.worlds import prompts
from duomem_jax.worlds.prompts import system_text


def test_prompts_of_the_package_are_whole():
    assert "Action:" in system_text("@play")
    prompt = load_prompt("write_script", ("task", "trajectory"), speaker.PROMPTS)
    filled = prompt.fill(task="T$x", trajectory="${y}")
    assert "T$x" in filled
    assert filled.endswith("${y}")


def test_the_play_prompt_knows_every_verb():
    """What the engine understands, but for slicing, which no task asks for, and help."""
    from duomem_jax.worlds.household.engine.commands import BLOCKS

    text = system_text("@play")
    told = {line[2:].split()[0] for line in text.splitlines() if line.startswith("- ")}
    assert told == set(BLOCKS) - {"slice", "help"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("no place", "holds no placeholder where"),
        ("$task", "holds task where"),
        ("$task $trajectory $more", "holds more, task, trajectory where"),
        ("$task $trajectory costs $5", r"holds a lone \$ where"),
    ],
)
def test_other_placeholders_are_named(tmp_path, text, holds):
    file = tmp_path / "own.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=rf"own\.txt: {holds} \$task, \$trajectory is expected"):
        load_prompt(str(file), ("task", "trajectory"))


def test_equal_hashes_are_equal_texts(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text(load_prompt("play", (), prompts.PROMPTS).text + "\n")
    assert load_prompt(str(file)).sha256 == load_prompt("play", (), prompts.PROMPTS).sha256
    file.write_text("Else.")
    assert load_prompt(str(file)).sha256 != load_prompt("play", (), prompts.PROMPTS).sha256


def test_a_file_that_is_no_text_is_named(tmp_path):
    file = tmp_path / "own.bin"
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match=r"own\.bin: not readable as text"):
        load_prompt(str(file))


def test_system_messages_are_texts_or_files(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("Play well.\n")
    assert system_text("Play well.") == system_text(f"@{file}") == "Play well."
    assert (
        system_text("@play")
        == system_text("", "@play")
        == load_prompt("play", (), prompts.PROMPTS).text
    )
    assert system_text("") == system_text("@/dev/null", "@play") == ""
    with pytest.raises(UserError, match="nowhere: not readable"):
        system_text("@nowhere")
