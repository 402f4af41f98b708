"""To PostgreSQL with pgvector: a table with `id`, `embedding`, `key`, `hash`, `label` and the user's columns."""

from __future__ import annotations

import json
from typing import Any

from fewshot.errors import InvalidInput, MissingPackage, UnwritableFile
from fewshot.progress import progress_bar
from fewshot.retrieval.exports.columns import as_sql
from fewshot.retrieval.exports.leaving import Exported, Leaving, renamed

OPERATORS = {
    "cosine": ("<=>", "vector_cosine_ops"),
    "inner-product": ("<#>", "vector_ip_ops"),
    "l2": ("<->", "vector_l2_ops"),
}
MOST_VALUES, MOST_INDEXED, PATIENCE = 16_000, 2_000, 10


def write(leaving: Leaving, target: str, name: str, replace: bool, ann: bool, progress: bool) -> Exported:
    """Make the table `name` (or `schema.name`) in the database at the URL `target`, in one transaction."""
    try:
        import pgvector.psycopg
        import psycopg
    except ModuleNotFoundError as missing:
        raise MissingPackage(str(missing.name), "export to PostgreSQL", "pgvector") from None
    dim, metric = leaving.manifest.dim, leaving.manifest.metric
    if dim > (MOST_INDEXED if ann else MOST_VALUES):
        most = MOST_INDEXED if ann else MOST_VALUES
        raise InvalidInput(f"pgvector {'indexes' if ann else 'holds'} at most {most:,} values a vector, found {dim:,}")
    options, shown = _options(target)
    try:
        with psycopg.connect(**options) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            pgvector.psycopg.register_vector(connection)
            _make(connection, leaving, name, replace, ann, progress, shown)
    except psycopg.errors.DuplicateTable:
        raise _there(shown, name) from None
    except psycopg.Error as error:
        raise UnwritableFile(shown, _first_line(error)) from None
    search = f"SELECT * FROM {name} ORDER BY embedding {OPERATORS[metric][0]} '[...]' LIMIT 10"
    return Exported("pgvector", shown, name, leaving.count, dim, metric, search)


def _make(connection: Any, leaving: Leaving, name: str, replace: bool, ann: bool, progress: bool, shown: str) -> None:
    from psycopg import sql

    schema, _, plain = name.rpartition(".")
    table = sql.Identifier(*([schema] if schema else []), plain)
    beside = sql.Identifier(*([schema] if schema else []), f"{plain}_being_written")
    exists = connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone()[0] is not None
    if exists and not replace:
        raise _there(shown, name)
    called = renamed(leaving.names, ("id", "key", "hash", "label", "embedding", "ctid", "xmin", "xmax", "tableoid"))
    columns = {field.name: as_sql(field.type) for field in leaving.schema}
    kinds = {"id": "bigint PRIMARY KEY", "embedding": f"vector({leaving.manifest.dim})"}
    kinds |= {called.get(column, column): way.kind for column, way in columns.items() if column != "id"}
    told = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(k)) for n, k in kinds.items())
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(beside, told))
    copying = sql.SQL("COPY {} FROM STDIN WITH (FORMAT BINARY)").format(beside)
    with (
        progress_bar(f"to {shown}", leaving.count, show=progress) as advance,
        connection.cursor() as cursor,
        cursor.copy(copying) as copy,
    ):
        copy.set_types([kind.split(" PRIMARY")[0].split("(")[0] for kind in kinds.values()])
        for vectors, rows in leaving.blocks():
            values = [way.values(rows[column], rows["key"]) for column, way in columns.items()]
            for vector, (number, *others) in zip(vectors, zip(*values, strict=True), strict=True):
                copy.write_row((number, vector, *others))
            advance(len(rows))
    if ann:
        kind = sql.SQL(OPERATORS[leaving.manifest.metric][1])
        connection.execute(sql.SQL("CREATE INDEX ON {} USING hnsw (embedding {})").format(beside, kind))
    comment = sql.Literal(json.dumps(leaving.told()))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(beside, comment))
    if exists:
        connection.execute(sql.SQL("DROP TABLE {}").format(table))
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(beside, sql.Identifier(plain)))


def _options(target: str) -> tuple[dict[str, Any], str]:
    """What to connect with, and the target as it may be shown: without its password."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        told = conninfo_to_dict(target)
    except psycopg.Error:  # its message may show a password
        raise InvalidInput(
            "this is no address of a PostgreSQL database; write postgresql://user@host/database"
        ) from None
    shown = f"PostgreSQL at {told.get('host', 'the local socket')}, database {told.get('dbname', 'of the user')}"
    return {"connect_timeout": PATIENCE, **told}, shown


def _there(shown: str, name: str) -> InvalidInput:
    return InvalidInput(f"{shown} has a table {name!r} already; give another name (--name) or replace=True (--replace)")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
