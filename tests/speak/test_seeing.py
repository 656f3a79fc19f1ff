"""Chats with pictures that a model in this process answers, against transformers' own replies."""

import numpy as np
import pytest
from seeing import letters_tokenizer, made_up, make_seeing

from duomem_jax.base.errors import UserError
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records import chat
from duomem_jax.speak.local import LocalSpeaker
from duomem_jax.speak.open import Local, load_speaker, speaker_identity
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.chat import chat_request
from duomem_jax.text.tokenizer import chat_tokens

NEW = 12


@pytest.fixture(scope="module", params=["smolvlm", "internvl"])
def model(request, tmp_path_factory):
    """(transformers' model in its folder, its tokenizer)."""
    reference = make_seeing(request.param, tmp_path_factory.mktemp(request.param))
    tokenizer = letters_tokenizer(request.param)
    tokenizer.save_pretrained(reference.folder)
    return reference, tokenizer


@pytest.fixture(scope="module")
def speaker(model):
    return load_speaker(str(model[0].folder), Local(max_len=1024))


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    """With one picture, without any, with two and a turn between them."""
    folder = tmp_path_factory.mktemp("pictures")
    made_up((20, 20)).save(folder / "one tile.png")
    made_up((60, 31)).save(folder / "several.png")
    one, several = (chat.picture(str(folder / f"{n}.png")) for n in ("one tile", "several"))
    return [
        [chat.user([several, chat.text("What is it?")])],
        [chat.system("Be brief."), chat.user("Who are you?")],
        [
            chat.user([chat.text("This is "), one, chat.text(".")]),
            chat.assistant("Yes."),
            chat.user([several, chat.text("And this, beside "), one, chat.text("?")]),
        ],
        [chat.user("Hello.")],
    ]


def told(reference, ids, messages, end_id):
    """What transformers writes after some ids, the end of turn not included."""
    import torch

    eyes = Eyes(reference.folder)
    paths = [part["path"] for message in messages for part in chat.pictures_of(message)]
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids))}
    if paths:
        tiles = np.concatenate([eyes.processor.tiles(path).pixels_Bhwc for path in paths])
        pixels = torch.tensor(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)))
        alone = reference.model.config.model_type == "internvl"
        inputs["pixel_values"] = pixels if alone else pixels[None]
    with torch.no_grad():
        found = reference.model.generate(
            **inputs,
            max_new_tokens=NEW - 1,  # the last of ours is the end, whatever it might have been
            do_sample=False,
            eos_token_id=end_id,
            pad_token_id=0,
        )[0].tolist()
    new = found[len(ids) :]
    return new[: new.index(end_id)] if end_id in new else new


def test_greedy_replies_are_those_of_transformers(model, speaker, chats):
    reference, tokenizer = model
    tokens, eyes = chat_tokens(tokenizer), Eyes(reference.folder)
    replies = list(speaker.reply(chats, Sampling(NEW)))
    for messages, reply in zip(chats, replies, strict=True):
        ids = tokens.since(messages, sight=eyes)
        want = told(reference, ids, messages, tokens.end_id)
        assert reply.text == tokenizer.decode(want, skip_special_tokens=True).strip()
        assert reply.prompt_tokens == len(ids)
    assert len({reply.text for reply in replies}) == len(chats)


def test_a_picture_is_shown_in_a_later_turn_of_a_chat_that_goes_on(model, speaker, chats):
    reference, tokenizer = model
    tokens, eyes = chat_tokens(tokenizer), Eyes(reference.folder)
    conversations = speaker.conversations(2, Sampling(NEW))
    first, ids, said = {0: chats[0], 1: chats[1]}, {}, {}
    for slot in first:
        conversations.start(slot, 0)
    for turn in range(2):
        if turn:
            shown = chats[2][2]["content"]
            first = {
                slot: [*messages, chat.assistant("."), chat.user(shown if slot else "Sure?")]
                for slot, messages in first.items()
            }
        replies = conversations.reply(first)
        for slot, messages in first.items():
            held = len(messages) - 1 if turn else 0
            ids[slot] = ids.get(slot, []) + tokens.since(messages, held, eyes)
            said[slot] = told(reference, ids[slot], messages, tokens.end_id)
            text = tokenizer.decode(said[slot], skip_special_tokens=True).strip()
            assert replies[slot].text == text
            ids[slot] += [*said[slot], tokens.end_id]


def test_a_picture_is_looked_at_once(model, chats, monkeypatch):
    looked, features = [], Eyes.features
    monkeypatch.setattr(
        Eyes, "features", lambda self, t: looked.append(len(t)) or features(self, t)
    )
    speaker = load_speaker(str(model[0].folder), Local(max_len=1024, tiles="one"))
    replies = list(speaker.reply([chats[0]] * 3 + [chats[1]], Sampling(NEW)))
    assert looked == [1]
    assert replies[0] == replies[1] == replies[2]


def test_how_pictures_are_seen_is_part_of_who_answers(model):
    folder = str(model[0].folder)
    one, usual = (speaker_identity(folder, Local(tiles=tiles)) for tiles in ("one", ""))
    assert one != usual
    assert {name for name in one if one[name] != usual[name]} == {"tiles"}


@pytest.mark.parametrize("shown", ["missing.png", "text.png"])
def test_what_is_no_picture_is_one_sentence(speaker, tmp_path, shown):
    (tmp_path / "text.png").write_text("no picture")
    message = chat.user([chat.picture(str(tmp_path / shown)), chat.text("What is it?")])
    with pytest.raises(UserError, match=f"{shown}: "):
        list(speaker.reply([[message]], Sampling(NEW)))


def test_words_that_stand_for_a_picture_are_refused(model, speaker):
    word = Eyes(model[0].folder).processor.placeholder
    with pytest.raises(UserError, match=rf"has 1 times {word} and 0 pictures"):
        list(speaker.reply([[chat.user(f"What is {word}?")]], Sampling(NEW)))


def test_models_that_do_not_see_refuse_pictures(chats):
    from duomem_jax.models.shipped import model_folder

    blind = load_speaker(str(model_folder("tiny-student")))
    assert isinstance(blind, LocalSpeaker)
    with pytest.raises(UserError, match=r"a chat shows .*several\.png, and only words are read"):
        list(blind.reply(chats[:1], Sampling(NEW)))
    with pytest.raises(UserError, match=r"openai:gpt: a chat shows .*several\.png"):
        chat_request("gpt", chats[0], Sampling(NEW))


def test_pictures_are_remembered_as_many_as_have_room(model, tmp_path, monkeypatch):
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    for i, file in enumerate(files):
        made_up((20 + i, 20)).save(file)
    first = Eyes(model[0].folder)
    wanted = [first.look(file) for file in files]
    monkeypatch.setattr("duomem_jax.models.vision.eyes.KEPT", 2 * wanted[0].nbytes)
    eyes, calls = Eyes(model[0].folder), []
    features = eyes.features
    monkeypatch.setattr(eyes, "features", lambda tiles: calls.append(1) or features(tiles))
    seen = []
    for which in (0, 1, 0, 2, 0, 1):
        np.testing.assert_array_equal(eyes.look(files[which]), wanted[which])
        seen.append(len(calls))
    # The third picture took the place of the second, since the first was looked at again.
    assert seen == [1, 2, 2, 3, 3, 4]
