"""Libpod's database in a store: what dead containers left in it goes, at a claim and in garbage collection."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.store import removal
from podman_agent.store.beneath import STRANGE

if TYPE_CHECKING:
    import sqlite3

    from podman_agent.store.layout import Store

_KEEP_TABLES = frozenset(("DBConfig", "VolumeConfig", "VolumeState"))
_SIDECARS = ("-wal", "-shm", "-journal")
_LIMIT = 64 << 20  # bytes
_PATIENCE = 2.0  # seconds: what is asked takes milliseconds, and a trigger of a hostile schema might take for ever


def forget_containers(store: Store, *, moved_in: bool) -> None:
    """Take dead containers out of libpod's database; take a database of another place away.

    SQLite opens files by name and follows links, and this may be root in another user's directory: so it works on a
    copy in a directory of its own, and the result is put in place whole.

    Args:
        store: A store whose lock the caller holds.
        moved_in: Whether podman will use the store at this very path, see `sweep.sweep`.
    """
    path = store.graphroot / "db.sql"
    files = [path, *(path.with_name(path.name + s) for s in _SIDECARS)]
    try:
        found = {file.name: store.root.read(file, _LIMIT) for file in files if store.root.mode(file)}
    except OSError as error:
        if error.errno in STRANGE:
            removal.discard(store, *files)
        return
    if path.name not in found:
        return
    import sqlite3  # noqa: PLC0415 - milliseconds that a store without containers need not pay

    try:
        with tempfile.TemporaryDirectory(prefix="podman-agent-db-") as directory:
            for name, data in found.items():
                Path(directory, name).write_bytes(data)
            copy = Path(directory, path.name)
            with contextlib.closing(sqlite3.connect(copy)) as db:
                change = _edit(store, db, moved_in=moved_in)
            new = copy.read_bytes()
    except (OSError, sqlite3.OperationalError):
        return  # nowhere to copy it to, or tables of another podman: podman itself copes with dead containers
    except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError, RecursionError):
        change, new = True, b""  # torn
    if not change:
        return
    # Images do not depend on this database: podman makes a new one where there is none.
    if not new or len(found) > 1:
        removal.discard(store, *files)
    if new:
        store.root.replace(path, new)


def _edit(store: Store, db: sqlite3.Connection, *, moved_in: bool) -> bool:
    """Whether the database is another now.

    Raises:
        sqlite3.DatabaseError: It is torn, or of another place.
    """
    deadline = time.monotonic() + _PATIENCE
    db.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA synchronous = OFF")
    recorded = db.execute("SELECT GraphRoot FROM DBConfig").fetchone()
    if moved_in and recorded and recorded[0] != str(store.graphroot):
        moved = f"it is of {recorded[0]}"
        raise ValueError(moved)
    if not db.execute("SELECT EXISTS(SELECT 1 FROM IDNamespace) OR EXISTS(SELECT 1 FROM ContainerConfig)").fetchone()[
        0
    ]:
        return False
    with db:
        volumes = _delete_rows(db)
    graphroot = store.graphroot
    removal.discard(
        store, *(graphroot / "volumes" / name for name in volumes if store.root.is_dir(graphroot / "volumes"))
    )
    return True


def _delete_rows(db: sqlite3.Connection) -> list[str]:
    """Returns the names of anonymous volumes, which go with their containers."""
    db.execute("PRAGMA foreign_keys = OFF")
    rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in rows:
        if table not in _KEEP_TABLES and not table.startswith("sqlite_"):
            quoted = table.replace('"', '""')
            db.execute(f'DELETE FROM "{quoted}"')  # noqa: S608 - the name is the database's own
    gone = []
    for name, text in db.execute("SELECT Name, JSON FROM VolumeConfig").fetchall():
        if json.loads(text).get("isAnon"):
            db.execute("DELETE FROM VolumeConfig WHERE Name = ?", (name,))
            db.execute("DELETE FROM VolumeState WHERE Name = ?", (name,))
            if name.strip(".") and "\0" not in name:
                gone.append(os.path.basename(name))  # noqa: PTH119
    return gone
