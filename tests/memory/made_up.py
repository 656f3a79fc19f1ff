"""Made-up won and lost episodes of a few tasks."""

from duomem_jax.memory.write.protocol import RuleWriter
from duomem_jax.records.episodes import Episode, Turn
from duomem_jax.records.played import write_episodes

TASKS = [
    "put a clean plate in fridge.",
    "clean some plate and put it in fridge.",
    "put a hot mug in cabinet.",
    "look at book under the desklamp.",
    "put two pen in drawer.",
]


def make_episode(i, *, success=True, memory_ids=(), task=None):
    task = task or TASKS[i % len(TASKS)]
    return Episode(
        game_id=f"game-{i:02d}",
        task=task,
        kind=task.split()[0],
        turns=(Turn(f"A room. Your task is to: {task}", "Look.", "look"),),
        final_observation="Done.",
        score=float(success),
        player="teacher",
        seed=0,
        world="household",
        version="fast-1",
        memory_ids=memory_ids,
    )


def write_script(episode):
    return f"1. solve it: {episode.task} 2. in {episode.game_id}."


WRITER = RuleWriter("test", lambda episodes: map(write_script, episodes))


def store(folder, episodes):
    by_name = {(e.game_id, e.seed): e for e in episodes}
    write_episodes(
        folder,
        list(by_name),
        lambda todo: (by_name[w] for w in todo),
        source={},
        config={"player": "teacher"},
        seed=0,
    )
    return folder
