"""The tables of a store."""

APPLICATION = 0x64756F73  # "duos": a database of another application is refused
# Of these tables; those of a later version are refused, those of an earlier one are brought up to
# date (`upgrade.py`).
VERSION = 2
# Of a version: what was shared in the turns that it rests on (`entry.Shared`), as JSON.
PICTURES = "pictures TEXT NOT NULL DEFAULT '[]'"

STATEMENTS = (
    # One row. `embedder` names the space of the vectors; `terms` is what splits texts; `change`
    # counts transactions that changed memories, `erasures` those that erased some; `residue` is 1
    # while what was erased may still be found in the file. `texts` and `length` are of the index.
    """CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 0), embedder TEXT NOT NULL, dimensions INTEGER,
        terms TEXT NOT NULL, change INTEGER NOT NULL DEFAULT 0,
        erasures INTEGER NOT NULL DEFAULT 0, residue INTEGER NOT NULL DEFAULT 0,
        texts INTEGER NOT NULL DEFAULT 0, length INTEGER NOT NULL DEFAULT 0)""",
    # Also of memories that are deleted. AUTOINCREMENT: no id is given twice.
    """CREATE TABLE memories (
        id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, speaker TEXT NOT NULL,
        kind TEXT NOT NULL, key TEXT NOT NULL, uses INTEGER NOT NULL, successes INTEGER NOT NULL,
        crc32 INTEGER NOT NULL)""",
    "CREATE INDEX memories_of_owner ON memories (owner)",
    # `live` is 1 for what a memory says now; `until` is the event time of the version that came
    # next. `identity` is a hash of what makes two memories the same. `change` is the transaction
    # that touched the row last, by which others' caches follow.
    f"""CREATE TABLE versions (
        row INTEGER PRIMARY KEY, memory INTEGER NOT NULL, number INTEGER NOT NULL,
        operation TEXT NOT NULL, text TEXT NOT NULL, context TEXT NOT NULL, evidence TEXT NOT NULL,
        session TEXT NOT NULL, writer TEXT NOT NULL, note TEXT NOT NULL, happened TEXT NOT NULL,
        written TEXT NOT NULL, until TEXT, live INTEGER NOT NULL, identity BLOB NOT NULL,
        change INTEGER NOT NULL, crc32 INTEGER NOT NULL, {PICTURES}, UNIQUE (memory, number))""",
    "CREATE UNIQUE INDEX live_versions ON versions (identity) WHERE live",
    "CREATE INDEX changed_versions ON versions (change)",
    # float16; apart from the versions, so that walking over these stays fast.
    "CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL, crc32 INTEGER NOT NULL)",
    # Terms arrive split already (`lexical.py`): the tokenizer only parts them at spaces.
    "CREATE VIRTUAL TABLE terms USING fts5(words, tokenize = 'ascii')",
    "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(terms, row)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
