"""A tool that answers SQL about Korea's climate normals, and the guard around SQL that somebody else wrote.

The data: 자료: 기상청, 기후평년값(1991-2020). See data/README.md.
"""

import csv
import math
import os
import re
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

DATA = Path(__file__).with_name("data")
TABLE = "normals"
COLUMNS = {
    "city": "TEXT",
    "month": "INTEGER",
    "mean_temp_c": "REAL",
    "precip_mm": "REAL",
    "days_min_below_0c": "REAL",
    "days_min_25c_or_more": "REAL",
}
FUNCTIONS = {"abs", "avg", "coalesce", "count", "group_concat", "ifnull", "like", "max", "min", "round", "sum", "total"}
ROWS, CHARACTERS, SECONDS = 50, 4_000, 1.0
LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2_000,
    sqlite3.SQLITE_LIMIT_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 60,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 60,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 12,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
}


class QueryRefused(ValueError):
    """A statement that the guard refuses, or that SQLite does not understand."""


def build(source=DATA / "korea_climate_normals.csv", target=DATA / "climate.db"):
    """Write the CSV file as an SQLite database, in one go, and return its path."""
    with open(source, encoding="utf-8", newline="") as file:
        rows = [(row["city_ko"], *list(row.values())[2:]) for row in csv.DictReader(file)]
    handle, name = tempfile.mkstemp(dir=target.parent)
    os.close(handle)
    with closing(sqlite3.connect(name)) as connection, connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"CREATE TABLE {TABLE} ({columns})")
        connection.executemany(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?)", rows)
    os.replace(name, target)
    return target


def query(sql, database=None, seconds=SECONDS):
    """Return what one SELECT finds: `columns`, `rows`, and `cut`, whether there was more than fits.

    Raises:
        QueryRefused: anything but one SELECT on the table, an error in it, or one that takes too long.
    """
    if not isinstance(sql, str) or not re.match(r"\s*(select|with)\b", sql, re.IGNORECASE):
        raise QueryRefused("SELECT나 WITH로 시작하는 문장 하나만 실행합니다. 자료를 읽는 문장으로 고쳐 주세요.")
    with closing(connect(database or _database(), seconds)) as connection:
        try:
            return result_of(connection.execute(sql))
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise QueryRefused(_reason(str(error), seconds)) from error


def connect(database, seconds):
    """Return a connection that can read the one table, for so many seconds, and do nothing else."""
    connection = sqlite3.connect(f"{Path(database).resolve().as_uri()}?mode=ro", uri=True)
    connection.execute("PRAGMA temp_store = MEMORY")  # sorting writes no file
    for limit, most in LIMITS.items():
        connection.setlimit(limit, most)
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, 1_000)
    connection.set_authorizer(allow)  # last: it would refuse the PRAGMA above
    return connection


def allow(action, first, second, database, _trigger):
    """Answer SQLite, which asks about each thing that a statement would do before it does any."""
    # count(*) reads no column: SQLite then gives the table's name as it was written, and no database.
    own = str(first).lower() == TABLE and database in ("main", None)
    permitted = (
        action == sqlite3.SQLITE_SELECT
        or (action == sqlite3.SQLITE_READ and own)
        or (action == sqlite3.SQLITE_FUNCTION and second in FUNCTIONS)
    )
    return sqlite3.SQLITE_OK if permitted else sqlite3.SQLITE_DENY


def result_of(cursor):
    rows, size = [], 0
    for row in cursor:
        values = [_plain(value) for value in row]
        size += len(str(values))
        if len(rows) == ROWS or size > CHARACTERS:
            cut = True
            break
        rows.append(values)
    else:
        cut = False
    return {"columns": [column[0] for column in cursor.description], "rows": rows, "cut": cut}


def _plain(value):
    # Bytes and infinity have no form in JSON.
    odd = isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if odd else value


def _reason(error, seconds):
    if "interrupted" in error:
        return f"{seconds:g}초 안에 끝나지 않아 멈췄습니다. 더 간단한 SELECT로 고쳐 주세요."
    if "authorized" in error or "prohibited" in error:
        return f"허락되지 않은 일입니다({error}). {TABLE} 표의 열을 읽는 SELECT만 쓸 수 있습니다."
    return f"SQL을 실행할 수 없습니다({error}). 열은 {', '.join(COLUMNS)}입니다."


def _database():
    target = DATA / "climate.db"
    return target if target.exists() else build(target=target)
