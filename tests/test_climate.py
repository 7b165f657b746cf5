"""The SQL tool of lesson 6 and its guard, under attack."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import sys
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isolation import PROJECT

sys.path.insert(0, str(PROJECT / "notebooks"))
import climate

SECRET = "s3cret-salary"
LIMIT = 0.2
PATIENCE = 5  # seconds: far from the limit even on a busy machine, and no hang


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The lesson's database with two more tables, which nobody may read."""
    folder = tmp_path_factory.mktemp("자료 폴더")
    path = climate.build(target=folder / "climate.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE salaries (name TEXT, won TEXT)")
        connection.execute("INSERT INTO salaries VALUES (?, ?)", ("김", SECRET))
        connection.execute("CREATE VIEW everything AS SELECT * FROM salaries")
        connection.execute("CREATE TABLE normals2 AS SELECT * FROM salaries")
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def attack(sql, database):
    """Run a statement and return what came of it, after looking at the clock, the file and the folder."""
    before, beside, start = digest(database), sorted(database.parent.iterdir()), time.monotonic()
    try:
        found = climate.query(sql, database, LIMIT)
    except climate.QueryRefused as error:
        found = None
        assert "SELECT" in str(error) or "SQL" in str(error)
    assert time.monotonic() - start < PATIENCE, "over the time limit"
    assert digest(database) == before, "the database was written to"
    assert sorted(database.parent.iterdir()) == beside, "a file was written"
    shown = json.dumps(found, ensure_ascii=False, allow_nan=False)
    assert SECRET not in shown and "CREATE TABLE" not in shown, "something else was read"
    assert len(shown) <= 2 * climate.CHARACTERS
    return found


WRITES = [
    "DROP TABLE normals",
    "DROP TABLE IF EXISTS salaries",
    "DELETE FROM normals",
    "DELETE FROM normals WHERE city = '서울' RETURNING *",
    "UPDATE normals SET mean_temp_c = 0",
    "UPDATE OR REPLACE normals SET city = 'x' RETURNING city",
    "INSERT INTO normals VALUES ('x', 1, 1, 1, 1, 1)",
    "INSERT INTO normals SELECT * FROM normals",
    "REPLACE INTO normals (city) VALUES ('x')",
    "ALTER TABLE normals RENAME TO n",
    "ALTER TABLE normals ADD COLUMN x",
    "ALTER TABLE normals DROP COLUMN city",
    "CREATE TABLE t (x)",
    "CREATE TEMP TABLE t AS SELECT * FROM normals",
    "CREATE VIEW v AS SELECT * FROM salaries",
    "CREATE INDEX i ON normals (city)",
    "CREATE TRIGGER g AFTER INSERT ON normals BEGIN DELETE FROM normals; END",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "VACUUM INTO 'stolen.db'",
    "ATTACH DATABASE 'other.db' AS other",
    "ATTACH ':memory:' AS m",
    "DETACH DATABASE main",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "PRAGMA writable_schema = 1",
    "PRAGMA query_only = 0",
    "PRAGMA journal_mode = WAL",
    "PRAGMA table_info(salaries)",
    "PRAGMA database_list",
    "PRAGMA user_version = 7",
    "EXPLAIN SELECT * FROM salaries",
    "EXPLAIN QUERY PLAN DELETE FROM normals",
]
DISGUISES = [
    "{}",
    "{};",
    " \n\t{}",
    "/* SELECT */ {}",
    "-- SELECT\n{}",
    "SELECT 1; {}",
    "SELECT city FROM normals; {}; --",
    "SELECT 1 /* ; */; {}",
    "SELECT '; ' ; {}",
    "WITH t AS (SELECT 1) {}",
    "WITH t AS ({}) SELECT * FROM t",
    "SELECT * FROM ({})",
    "SELECT ({})",
    "SELECT 1 UNION ALL {}",
    "SELECT 1 WHERE EXISTS ({})",
    "SELECT 1\0; {}",
    "\ufeff{}",
    "select 1;;;{}",
]
ELSEWHERE = [
    "salaries",
    "main.salaries",
    '"salaries"',
    "[salaries]",
    "`salaries`",
    "'salaries'",
    "SALARIES",
    "everything",
    "normals2",
    "sqlite_master",
    "sqlite_schema",
    "main.sqlite_master",
    "temp.sqlite_master",
    "sqlite_temp_schema",
    "pragma_table_info('salaries')",
    "pragma_database_list",
    "pragma_table_list",
    "pragma_function_list",
    "json_each('[1]')",
    "generate_series(1, 9)",
    "dbstat",
    "sqlite_dbpage",
    "bytecode('SELECT 1')",
    "sqlite_stmt",
]
READS = [
    "SELECT * FROM {}",
    "SELECT count(*) FROM {}",
    "SELECT 1 FROM {}",
    "SELECT rowid FROM {}",
    "SELECT s.* FROM normals n JOIN {} s LIMIT 3",
    "SELECT (SELECT group_concat(won) FROM {})",
    "SELECT city FROM normals UNION SELECT name FROM {}",
    "SELECT city FROM normals WHERE EXISTS (SELECT * FROM {})",
    "SELECT city FROM normals ORDER BY (SELECT max(won) FROM {})",
    "WITH normals AS (SELECT * FROM {}) SELECT * FROM normals",
    "WITH t AS (SELECT count(*) FROM {}) SELECT * FROM t",
    "SELECT sum(1) FILTER (WHERE 1 IN (SELECT won FROM {})) FROM normals",
]
FUNCTIONS = [
    "load_extension('x.so')",
    "readfile('/etc/passwd')",
    "writefile('x', 'y')",
    "edit('x')",
    "randomblob(1000000000)",
    "zeroblob(1000000000)",
    "hex(zeroblob(100000000))",
    "printf('%1000000000d', 1)",
    "format('%.*c', 100000000, 'x')",
    "replace('aaaa', 'a', 'aaaaaaaaaaaa')",
    "sqlite_version()",
    "sqlite_source_id()",
    "sqlite_compileoption_get(1)",
    "last_insert_rowid()",
    "total_changes()",
    "random()",
    "fts3_tokenizer('x')",
    "json('[]')",
    "char(0)",
    "unicode('x')",
    "quote(city)",
    "instr(city, 'x')",
    "likely(1)",
    "datetime('now')",
    "'x' GLOB '*'",
    "'x' REGEXP 'x'",
    "'x' MATCH 'x'",
    "'{}' -> 'x'",
    "rank() OVER ()",
]
SLOW = [
    "SELECT count(*) FROM normals a, normals b, normals c, normals d, normals e",
    "SELECT * FROM normals a, normals b, normals c, normals d ORDER BY a.month * b.month * c.month",
    "SELECT max(a.city || b.city || c.city) FROM normals a, normals b, normals c, normals d",
    "SELECT DISTINCT a.precip_mm * b.precip_mm * c.precip_mm FROM normals a, normals b, normals c",
    "SELECT sum(a.month) FROM normals a, normals b, normals c, normals d GROUP BY a.precip_mm * b.precip_mm",
    "SELECT 1 FROM " + ", ".join(f"normals a{n}" for n in range(64)) + " ORDER BY a63.month",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
    "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x FROM c) SELECT x FROM c",
    "SELECT 1 FROM normals a WHERE (SELECT sum(b.month) FROM normals b, normals c, normals d WHERE b.month = a.month)",
    "SELECT city FROM normals WHERE city LIKE '" + "%a" * 900 + "'",
    "SELECT " + " || ".join(["city"] * 280),
    "SELECT " + "(" * 900 + "1" + ")" * 900,
    "SELECT " + "-" * 1 + " - ".join(["1"] * 490),
    "SELECT 1" + " UNION SELECT 2" * 120,
    "SELECT " + ", ".join(["city"] * 300) + " FROM normals",
    "SELECT group_concat(a.city || b.city) FROM normals a, normals b",
    "SELECT " + "1" * 5_000,
]
ATTACKS = [
    *(form.format(statement) for form, statement in itertools.product(DISGUISES, WRITES)),
    *(form.format(place) for form, place in itertools.product(READS, ELSEWHERE)),
    *(f"SELECT {call} FROM normals" for call in FUNCTIONS),
]


def test_hundreds_of_attacks_write_nothing_read_nothing_else_and_are_refused(database):
    assert len(ATTACKS) >= 200
    for sql in ATTACKS:
        assert attack(sql, database) is None, sql


@pytest.mark.parametrize("sql", SLOW, ids=lambda sql: sql[:50])
def test_what_would_take_for_ever_ends_in_time(sql, database):
    attack(sql, database)


PIECES = st.sampled_from(
    [
        *("SELECT", "WITH", "t AS (", ")", "*", "FROM", "normals", "salaries", "everything", "sqlite_master", "t"),
        *("WHERE", "city", "month", "won", "name", "= '서울'", "UNION", "JOIN", "count(*)", "group_concat(won)", ","),
        *("ORDER BY 1", "LIMIT 5", "(", ";", "DROP TABLE normals", "DELETE FROM", "PRAGMA user_version = 3", "--", "'"),
        *(
            "/*",
            "*/",
            '"',
            "main.",
            "1",
            "NULL",
            "x'ff'",
            "9e999",
            "AS",
            "CASE WHEN 1 THEN 2 END",
            "INTO",
            "ATTACH 'x'",
        ),
    ]
)
STATEMENTS = st.one_of(
    st.lists(PIECES, max_size=14).map(" ".join),
    st.lists(PIECES, max_size=10).map(lambda pieces: "SELECT " + " ".join(pieces)),
    st.text(max_size=60),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "L"]), max_size=20).map(lambda text: f"SELECT '{text}'"),
)


@settings(max_examples=400, deadline=None)
@given(STATEMENTS)
def test_no_statement_writes_reads_elsewhere_or_hangs(database, sql):
    attack(sql, database)


@pytest.mark.parametrize("sql", [None, 3, ["SELECT 1"], b"SELECT 1", {}, ""])
def test_what_is_no_statement_is_refused(sql, database):
    assert attack(sql, database) is None


QUESTIONS = [
    "SELECT month, mean_temp_c FROM normals WHERE city = '서울' ORDER BY month",
    "select City, sum(precip_mm) AS mm from Normals group by city order by mm desc limit 3;",
    "SELECT round(avg(mean_temp_c), 1) FROM main.normals WHERE month IN (6, 7, 8)",
    "SELECT n.city FROM normals AS n WHERE n.city LIKE '강%' AND n.month = 1",
    "WITH y AS (SELECT city, avg(mean_temp_c) AS t FROM normals GROUP BY city) SELECT city FROM y WHERE t > 14",
    "SELECT a.city, b.city FROM normals a JOIN normals b ON a.month = b.month WHERE a.month = 1 LIMIT 3",
    "SELECT count(*) FROM normals",
    "SELECT count(*) FROM (SELECT DISTINCT city FROM normals)",
    "SELECT city, CASE WHEN month < 7 THEN '앞' ELSE '뒤' END AS half FROM normals LIMIT 2",
    "SELECT DISTINCT city FROM normals WHERE month = (SELECT max(month) FROM normals)",
]


@pytest.mark.parametrize("sql", QUESTIONS)
def test_honest_questions_are_answered(sql, database):
    assert attack(sql, database)["rows"]


def test_the_answer_names_its_columns_and_holds_the_published_numbers(database):
    sql = "SELECT sum(precip_mm) AS mm, count(*) AS n FROM normals WHERE city = '서울'"
    found = climate.query(sql, database)
    assert found["columns"] == ["mm", "n"] and not found["cut"]
    assert found["rows"] == [[pytest.approx(1417.9), 12]]


def test_a_long_answer_is_cut_and_says_so(database):
    found = climate.query("SELECT * FROM normals", database)
    assert found["cut"] and 0 < len(found["rows"]) <= climate.ROWS


def test_a_wide_answer_is_cut_by_its_size(database):
    wide = ", ".join(["city || city || city || city"] * 40)
    found = climate.query(f"SELECT {wide} FROM normals", database)
    assert found["cut"] and len(json.dumps(found["rows"])) < 8 * climate.CHARACTERS


def test_values_without_a_form_in_json_come_as_text(database):
    assert climate.query("SELECT 9e999, x'ff', NULL", database)["rows"] == [["inf", str(b"\xff"), None]]


def test_a_slow_statement_is_stopped_after_the_seconds_given(database):
    with pytest.raises(climate.QueryRefused, match=r"0\.05초 안에"):
        climate.query(SLOW[0], database, seconds=0.05)


def test_a_refusal_tells_which_columns_there_are(database):
    with pytest.raises(climate.QueryRefused, match="mean_temp_c"):
        climate.query("SELECT temperature FROM normals", database)


def test_the_connection_itself_refuses_to_write(database):
    with closing(climate.connect(database, 1)) as connection:
        connection.set_authorizer(None)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM normals")


def test_building_again_gives_the_same_bytes(tmp_path):
    assert digest(climate.build(target=tmp_path / "a.db")) == digest(climate.build(target=tmp_path / "b.db"))


def test_the_database_is_built_from_the_csv_file_when_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(climate, "DATA", tmp_path)
    assert climate.query("SELECT count(*) FROM normals")["rows"] == [[144]]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["climate.db"]
