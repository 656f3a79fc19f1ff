"""Episodes or demonstrations to packed rows."""

from dataclasses import replace

from duomem_jax.agents.play import SHOWN, Shown
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import system_text
from duomem_jax.base.ranges import Length, Limit, Seed, Share, options
from duomem_jax.base.shard import WHOLE
from duomem_jax.data.examples import View, build_examples
from duomem_jax.data.pictures import StoredSight, stored_sight
from duomem_jax.data.sources import Demonstrations, Episodes, Source, Together
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.show import RetrievedGuidelines
from duomem_jax.models.hf import load_config
from duomem_jax.models.locate import model_path
from duomem_jax.records.store.write import WriteReport
from duomem_jax.stages.options import Folder, Part
from duomem_jax.stages.played import world_of
from duomem_jax.text.tokenizer import load_tokenizer


@options
class Examples:
    """How episodes become packed training rows."""

    length: Length = 1024  # T, tokens a row
    system: str = ""  # system message, or @FILE of it
    memory_share: Share = 0.5  # share of the episodes that show memories
    k: Shown = SHOWN  # memories shown
    embedder: str = DEFAULT_EMBEDDER
    seed: Seed = 0  # of which episodes show memories
    teacher_length: Length = 2048  # tokens a row of the teacher's view
    # Of pictures, which a row has room for; 0: as many as fill half of it.
    tiles: Limit = 0


def examples(
    out: Folder,
    /,
    tokenizer: str,
    episodes: str = "",
    demonstrations: tuple[str, ...] = (),
    memory: str = "",
    teacher: str = "",
    teacher_memory: str = "",
    pictures: str = "",
    how: Examples = Examples(),
    shard: Part = WHOLE,
) -> WriteReport:
    """Tokenise, mask and pack won episodes and demonstrations for `train.py`.

    Args:
        out: folder to write.
        tokenizer: of the student: folder, hub id or shipped model.
        episodes: folder of episodes, from `duomem play`.
        demonstrations: folders of demonstrations, from `duomem demonstrations`, in place of them;
            or of lessons in reading, from `duomem lessons`, beside them.
        memory: bank whose memories some episodes show; empty: none do.
        teacher: model with another tokenizer, whose tokens rows hold beside the student's, aligned
            by bytes; empty: it has the student's tokenizer.
        teacher_memory: bank whose memories a teacher sees before every episode while the student
            does not (context distillation); empty: it reads what the student reads.
        pictures: what the student sees in the pictures of demonstrations, from `duomem pictures`.
        how: row length, share of episodes with memories, room for pictures.
        shard: write part i/n.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    folder = model_path(tokenizer)
    loaded = load_tokenizer(folder)
    made_for = _context_of(folder)
    source = _source(episodes, demonstrations)
    # The episodes say which world they are from, and so what `@play` stands for.
    system = system_text(how.system, world_of(episodes).prompt if episodes else "")
    student = View(loaded, how.length, system, _guidelines(memory, how, how.memory_share), made_for)
    if pictures:
        student = _seeing(student, stored_sight(pictures, folder), how)
    taught = None
    # Naming the student itself as teacher is of use: the teacher's view then has no memories, even
    # where the student's has.
    if teacher or teacher_memory:
        own = load_tokenizer(model_path(teacher)) if teacher else loaded
        # A share of 1: a teacher that knows more is to know it in every episode.
        taught = View(own, how.teacher_length, system, _guidelines(teacher_memory, how, 1.0))
    return build_examples(source, out, student, taught, shard=shard)


def _seeing(view: View, sight: StoredSight, how: Examples) -> View:
    """The view of a model that sees."""
    tokens = sight.pictures.facts.tile_tokens
    most = how.length // tokens
    if not most or how.tiles > most:
        raise UserError(
            f"how.length is {how.length}, and a tile of a picture takes {tokens} tokens; give "
            "longer rows, or lower how.tiles"
        )
    return replace(view, sight=sight, room=how.tiles or max(1, most // 2))


def _source(episodes: str, demonstrations: tuple[str, ...]) -> Source:
    """What is learnt from."""
    if episodes and demonstrations:
        return Together(Episodes(episodes), Demonstrations(demonstrations))
    if episodes:
        return Episodes(episodes)
    if demonstrations:
        return Demonstrations(demonstrations)
    raise UserError("give episodes, demonstrations, or both")


def _context_of(folder: str) -> int:
    """Tokens that the model of a folder was made for; 0 where it does not say."""
    try:
        return load_config(folder).max_len
    # A tokenizer may come without a model, or with one that nothing here can run.
    except UserError:
        return 0


def _guidelines(bank: str, how: Examples, share: float) -> RetrievedGuidelines | None:
    """What a share of the episodes is shown of a bank."""
    if not bank:
        return None
    memories = MemoryBank.load(bank, make_embedder(how.embedder))
    return RetrievedGuidelines(memories, k=how.k, share=share, seed=how.seed)
