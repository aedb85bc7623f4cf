"""Translate Athena's SQL (Trino) into DuckDB's, or refuse it; never a silent difference.

Without it: MiniStack hands the text to DuckDB as it stands, which fails on half of Athena's functions, knows no
``UNLOAD`` and no ``?`` parameters, and answers some queries differently without a word.
Mended with sqlglot and, where sqlglot leaves a difference, rules of our own:

- ``a / b`` is refused unless one side is visibly a double: Trino divides integers to integers and decimals to their
  own scale, DuckDB divides both to doubles.
- Time zone conversion is refused: a zone-less timestamp means different moments to the two.
- ``CAST(… AS bigint)`` of a double rounds half up, as Trino does (DuckDB rounds half to even).
- ``date_diff`` counts complete units (DuckDB's counts boundaries crossed).
- ``map_agg``, ``every``, ``format_datetime`` and a few more are rewritten; a function that neither sqlglot nor this
  file knows is refused until someone has checked that it means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType


class UntranslatableError(ValueError):
    """The local Athena cannot run this statement and answer as Athena would."""


@dataclass(frozen=True)
class Unload:
    """Where and how an UNLOAD writes its rows."""

    location: str
    compression: str
    partitioned_by: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A parsed query with its parameters filled in, and its UNLOAD clause if it has one."""

    query: exp.Query
    unload: Unload | None = None


_COMPRESSIONS = {"NONE": "uncompressed", "SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd"}
_INTEGERS = {exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT}
_DOUBLES = {exp.DType.DOUBLE, exp.DType.FLOAT}
_DOUBLE_FUNCTIONS = (
    exp.Ln,
    exp.Exp,
    exp.Sqrt,
    exp.Pow,
    exp.Log,
    exp.Cbrt,
    exp.TimeToUnix,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.Rand,
    exp.Corr,
)
_WHOLE_FUNCTIONS = (
    exp.Round,
    exp.Floor,
    exp.Ceil,
    exp.Trunc,
    exp.Count,
    exp.CountIf,
    exp.Length,
    exp.Extract,
    exp.DateDiff,
    exp.ArraySize,
)
_ZONED = (exp.AtTimeZone, exp.FromTimeZone, exp.ConvertTimezone)
_ZONED_NAMES = {
    "at_timezone",
    "with_timezone",
    "timezone_hour",
    "timezone_minute",
    "parse_datetime",
    "current_timezone",
}
#: Functions sqlglot does not know, checked to mean the same in DuckDB under the same name.
_SAME_MEANING = {"histogram", "bit_count", "chr", "strpos", "degrees", "radians", "array_min", "array_max"}
#: Functions sqlglot does not know that DuckDB has under another name.
_RENAMED = {"every": "bool_and", "is_nan": "isnan", "is_finite": "isfinite", "is_infinite": "isinf"}
_JODA = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%g",
    "MMM": "%b",
    "MMMM": "%B",
    "EEE": "%a",
    "EEEE": "%A",
    "DDD": "%j",
    "a": "%p",
    "hh": "%I",
}


_UNLOAD = re.compile(r"^(?:\s|--[^\n]*\n|/\*.*?\*/)*UNLOAD\b", re.IGNORECASE | re.DOTALL)


def parse(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Read one Athena statement: a query, or UNLOAD of a query."""
    text = sql.strip().rstrip(";")
    start = _UNLOAD.match(text)
    bound = _bound(text[start.end() :] if start else text, parameters)
    if start is None:
        return Statement(_parse_query(bound))
    inner, unload = _split_unload(bound)
    return Statement(_parse_query(inner), unload)


def _tokens(sql: str) -> list[Token]:
    try:
        return sqlglot.tokenize(sql, read="athena")
    except SqlglotError as error:
        raise UntranslatableError(f"mismatched input: {error}") from error


def _parse_query(sql: str) -> exp.Query:
    try:
        statements = sqlglot.parse(sql, read="athena", error_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise UntranslatableError(f"mismatched input: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise UntranslatableError("the local Athena runs one SELECT, or UNLOAD of one SELECT")
    return statements[0]


def _split_unload(sql: str) -> tuple[str, Unload]:
    """Cut ``(query) TO 'location' WITH (properties)`` into its parts."""
    tokens = _tokens(sql)
    if not tokens or tokens[0].token_type != TokenType.L_PAREN:
        raise UntranslatableError("UNLOAD needs its query in parentheses")
    depth, close = 0, 0
    for index, token in enumerate(tokens):
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth == 0:
            close = index
            break
    rest = tokens[close + 1 :] if close else []
    if len(rest) < 2 or rest[0].text.upper() != "TO" or rest[1].token_type != TokenType.STRING:
        raise UntranslatableError("UNLOAD (…) must be followed by TO 's3://bucket/prefix/'")
    properties = _properties(rest[2:])
    inner = sql[tokens[0].end + 1 : tokens[close].start]
    return inner, _unload(rest[1].text, properties)


def _properties(tokens: list[Token]) -> dict[str, list[str]]:
    """``WITH (name = 'value', name = ARRAY['a', 'b'])`` as name → values."""
    if not tokens or tokens[0].text.upper() != "WITH":
        raise UntranslatableError("UNLOAD needs WITH (format = 'PARQUET', …)")
    found: dict[str, list[str]] = {}
    name = ""
    for index, token in enumerate(tokens):
        if index + 1 < len(tokens) and tokens[index + 1].token_type == TokenType.EQ:
            name = token.text.lower()
            found[name] = []
        elif token.token_type in (TokenType.STRING, TokenType.NUMBER) and name:
            found[name].append(token.text)
    return found


def _unload(location: str, properties: dict[str, list[str]]) -> Unload:
    unknown = set(properties) - {"format", "compression", "partitioned_by", "compression_level"}
    if unknown:
        raise UntranslatableError(f"the local UNLOAD does not know {sorted(unknown)}")
    if [value.upper() for value in properties.get("format", [])] != ["PARQUET"]:
        raise UntranslatableError("the local UNLOAD writes format = 'PARQUET' only")
    compression = properties.get("compression", ["GZIP"])[0].upper()
    if compression not in _COMPRESSIONS:
        raise UntranslatableError(f"the local UNLOAD does not know compression = {compression!r}")
    if not re.match(r"^s3://[^/]+/", location):
        raise UntranslatableError(f"UNLOAD cannot write to {location!r}")
    return Unload(location, _COMPRESSIONS[compression], tuple(properties.get("partitioned_by", ())))


# --- parameters -------------------------------------------------------------------------------------------------------


def _bound(sql: str, parameters: Sequence[str]) -> str:
    """Put the execution parameters (SQL literals, as Athena takes them) in place of the question marks."""
    marks = [token for token in _tokens(sql) if token.token_type == TokenType.PLACEHOLDER]
    if len(marks) != len(parameters):
        raise UntranslatableError(f"Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}")
    for mark, text in reversed(list(zip(marks, parameters, strict=True))):
        sql = sql[: mark.start] + _literal(text) + sql[mark.end + 1 :]
    return sql


def _literal(text: str) -> str:
    try:
        value = sqlglot.parse_one(text, read="athena")
    except SqlglotError as error:
        raise UntranslatableError(f"parameter {text!r} is not a SQL literal: {error}") from error
    inner = value.this if isinstance(value, (exp.Neg, exp.Cast)) else value
    if not isinstance(inner, (exp.Literal, exp.Boolean, exp.Null)):
        raise UntranslatableError(f"parameter {text!r} is not a literal; strings need quotes: '{text}'")
    return text


# --- translation ------------------------------------------------------------------------------------------------------


def to_duckdb(query: exp.Query) -> str:
    """The query as DuckDB SQL that gives Athena's answer; raises when that cannot be promised."""
    _refuse_differences(query)
    rewritten = query.copy().transform(_rewritten)
    try:
        return rewritten.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise UntranslatableError(str(error)) from error


def _refuse_differences(query: exp.Query) -> None:
    for node in query.walk():
        if isinstance(node, _ZONED) or (isinstance(node, exp.Anonymous) and node.name.lower() in _ZONED_NAMES):
            raise UntranslatableError(f"time zone conversion is not portable: {node.sql('athena')}; use an …_on column")
        if isinstance(node, exp.Div) and not (_is_double(node.left) or _is_double(node.right)):
            raise UntranslatableError(
                f"{node.sql('athena')}: write CAST(… AS double) on one side; Athena divides integers to integers"
            )
        if isinstance(node, exp.Anonymous) and node.name.lower() not in {*_SAME_MEANING, *_RENAMED, *_REWRITES}:
            raise UntranslatableError(
                f"function {node.name} is not known to mean the same here; check it and add it to athena_dialect.py"
            )


def _is_double(node: exp.Expr) -> bool:
    """Whether the expression can be seen to be a double without knowing the columns' types."""
    if isinstance(node, (exp.Paren, exp.Neg, exp.Abs, exp.Sum, exp.Window, exp.Filter, exp.Max, exp.Min, exp.Nullif)):
        return _is_double(node.this)
    if isinstance(node, exp.Cast):
        return node.to.this in _DOUBLES
    if isinstance(node, exp.Literal):
        return not node.is_string and "e" in node.this.lower()
    if isinstance(node, exp.Coalesce):
        return any(_is_double(each) for each in (node.this, *node.expressions))
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div)):
        return _is_double(node.left) or _is_double(node.right)
    return isinstance(node, _DOUBLE_FUNCTIONS)


def _is_whole(node: exp.Expr) -> bool:
    """Whether the expression can be seen to have no fraction (a string's own digits decide for themselves)."""
    if isinstance(node, exp.Literal):
        return bool(node.is_string or node.is_int)
    return isinstance(node, _WHOLE_FUNCTIONS) and not node.args.get("decimals")


def _rewritten(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.DateDiff):
        return _complete_units(node)
    if isinstance(node, exp.Cast) and node.to.this in _INTEGERS and not _is_whole(node.this):
        return _rounded_cast(node)
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        if name in _RENAMED:
            return exp.func(_RENAMED[name], *node.expressions, dialect="duckdb")
        if name in _REWRITES:
            return _REWRITES[name](node)
    return node


def _complete_units(node: exp.DateDiff) -> exp.Expr:
    unit = exp.Literal.string((node.text("unit") or "day").lower())
    return exp.Anonymous(this="datesub", expressions=[unit, node.expression.copy(), node.this.copy()])


def _rounded_cast(node: exp.Cast) -> exp.Expr:
    """Round a double half up before it becomes an integer, and leave every other type to the plain cast."""
    if node.args.get("_rounded"):
        return node
    value, target = node.this, node.to.sql("duckdb")
    cast = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    text = value.sql("athena")
    plain = sqlglot.parse_one(f"{cast}({text} AS {target})", read="athena")
    plain.set("_rounded", True)
    kind = exp.Anonymous(this="typeof", expressions=[value.copy()])
    rounded = exp.Cast(
        this=exp.Round(this=exp.TryCast(this=value.copy(), to=exp.DataType.build("double"))), to=node.to.copy()
    )
    rounded.set("_rounded", True)
    return exp.Case(
        ifs=[
            exp.If(
                this=exp.In(this=kind, expressions=[exp.Literal.string("DOUBLE"), exp.Literal.string("FLOAT")]),
                true=rounded,
            )
        ],
        default=plain,
    )


def _map_agg(node: exp.Anonymous) -> exp.Expr:
    key, value = node.expressions
    left, right = key.sql("duckdb"), value.sql("duckdb")
    text = f"map_from_entries(list(row({left}, {right})) FILTER ({left} IS NOT NULL))"
    return sqlglot.parse_one(text, read="duckdb")


def _format_datetime(node: exp.Anonymous) -> exp.Expr:
    value, pattern = node.expressions
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise UntranslatableError("format_datetime needs a literal pattern")
    return exp.Anonymous(
        this="strftime", expressions=[value.copy(), exp.Literal.string(joda_to_strftime(pattern.this))]
    )


def joda_to_strftime(pattern: str) -> str:
    """A Joda date pattern as strftime; raises on a letter it does not know."""
    out: list[str] = []
    for part in re.finditer(r"'(?P<quoted>[^']*)'|(?P<letters>(?P<one>[A-Za-z])(?P=one)*)|(?P<other>.)", pattern):
        if part["letters"] and part["letters"] not in _JODA:
            raise UntranslatableError(f"format_datetime: pattern letters {part['letters']!r} are not known here")
        literal = (part["quoted"] or part["other"] or "").replace("%", "%%")
        out.append(_JODA[part["letters"]] if part["letters"] else literal)
    return "".join(out)


_REWRITES: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "map_agg": _map_agg,
    "format_datetime": _format_datetime,
}
