"""Two processes that write to one database in WAL mode, and its own check of what came of it."""

import os, sqlite3, sys

path = f"{sys.argv[1]}/data.db"
journal = sys.argv[2]


def connect():
    database = sqlite3.connect(path, timeout=60)
    database.execute(f"PRAGMA journal_mode={journal}")
    return database


def fill(who):
    database = connect()
    for i in range(30):
        with database:
            database.executemany("INSERT INTO rows VALUES (?, ?, ?)", [(who, i, os.urandom(200)) for _ in range(5)])
    database.close()


with connect() as database:
    print(database.execute("PRAGMA journal_mode").fetchone()[0])
    database.execute("CREATE TABLE rows (who TEXT, i INTEGER, data BLOB)")
    database.execute("CREATE INDEX by_data ON rows (data)")
database.close()
children = []
for who in ("one", "other"):
    child = os.fork()
    if child == 0:
        fill(who)
        os._exit(0)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
database = connect()
print(database.execute("PRAGMA integrity_check").fetchone()[0], database.execute("SELECT count(*) FROM rows").fetchone()[0])
