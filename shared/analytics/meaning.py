"""What an analysis means: titles, question, columns. For the command, templates and tests, not for Lambdas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import Any, Literal

import yaml

from shared.analytics.catalog import FOLDER, Analysis, made_by_functions, names
from shared.analytics.schema import Column, Kind, Partition, Table
from shared.core.errors import MisconfiguredError


@dataclass(frozen=True, slots=True)
class CustomerLists:
    """How a row opens the list of its customers: `customers.sql` gives (counted, keys …, customer_id)."""

    keys: tuple[str, ...]
    """Columns of the row that say which people it is about."""
    lists: tuple[str, ...]
    """Values of `counted`, the default first: most are the column whose number the list explains."""
    reads: tuple[str, ...]
    """Tables and analyses that `customers.sql` reads."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """An analysis as a shop owner meets it."""

    name: str
    title: Mapping[str, str]
    question: Mapping[str, str]
    grain: str
    reads: tuple[str, ...]
    freshness: Literal["nightly", "on_demand"]
    """`on_demand`: asked by `matakite analysis run` only; it has no table in the lake."""
    report: bool = False
    """Its rows are few and shown by widgets: published to the reports table."""
    widget: str | None = None
    made_by: str = ""
    """The function that makes its rows (there is no `query.sql`): `reads` are its inputs."""
    uses: tuple[str, ...] = ()
    """Results it also reads, and does without where they failed tonight."""
    carries_over: bool = False
    """Also reads its own result of the run before."""
    weekly: bool = False
    """Of the nights, only that of a Sunday works it out: it compares whole weeks."""
    then: bool = False
    """Asked as things stood `catalog.THEN_DAYS` ago."""
    customers: CustomerLists | None = None
    """None where the rows are people themselves."""


@cache
def meaning(name: str) -> Meaning:
    """What `meaning.yaml` says."""
    document = _document(name, "meaning.yaml")
    _check_words(document, Meaning, f"{name}/meaning.yaml")
    customers = document.pop("customers", None)
    if customers:
        _check_words(customers, CustomerLists, f"{name}/meaning.yaml, customers:")
    lists = CustomerLists(**{key: tuple(value) for key, value in customers.items()}) if customers else None
    reads, uses = tuple(document.pop("reads")), tuple(document.pop("uses", ()))
    return Meaning(name=name, reads=reads, uses=uses, customers=lists, **document)


@cache
def result_table(name: str) -> Table:
    """The lake table an analysis fills, from its `schema.yaml`."""
    document = _document(name, "schema.yaml")
    columns = tuple(Column(each["name"], Kind(each["type"]), each["meaning"]) for each in document["columns"])
    return Table(name, meaning(name).title["en"], columns, Partition.DT, sort=tuple(document["sort"]))


def _document(name: str, file: str) -> dict[str, Any]:
    try:
        text = (FOLDER / name / file).read_text("utf-8")
    except FileNotFoundError:
        raise MisconfiguredError(f"the analysis {name} has no {file}: see shared/analytics/analyses") from None
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def _check_words(document: Mapping[str, Any], shape: type[Meaning | CustomerLists], where: str) -> None:
    """Raises MisconfiguredError for a word nobody reads, or one that is missing: a slip would count as left out."""
    said = {each.name: each.default is MISSING for each in fields(shape) if each.name != "name"}
    strange, missing = set(document) - set(said), {word for word, needed in said.items() if needed} - set(document)
    if strange or missing:
        wrong = [*(f"{word} is no word of it" for word in sorted(strange)), *(f"{word} is missing" for word in missing)]
        raise MisconfiguredError(f"{where} {', '.join(wrong)}; there are {', '.join(said)}")


def result_tables() -> list[Table]:
    """The tables the nightly run fills."""
    return [result_table(analysis.name) for analysis in analyses()]


def analyses() -> list[Analysis]:
    """The analyses of the nightly run, as its machine is told of them."""
    asked = [analysis for analysis in every_analysis() if meaning(analysis.name).freshness == "nightly"]
    return [*asked, *(_made(name) for name in made_by_functions())]


def night_catalog() -> list[Analysis]:
    """The analyses of the nightly run, and those asked on demand as views: analyses and saved segments read them."""
    asked = [analysis for analysis in every_analysis() if meaning(analysis.name).freshness != "nightly"]
    # Their titles are shown by no record of a night, and the machine carries every letter of its catalogue.
    return [*analyses(), *(replace(analysis, report=False, stored=False, title={}) for analysis in asked)]


def every_analysis() -> list[Analysis]:
    """The analyses of the nightly run and those asked on demand."""
    return [_analysis(name) for name in names()]


def _analysis(name: str) -> Analysis:
    said = meaning(name)
    return Analysis(name, said.reads, said.report, said.title, uses=said.uses, then=said.then, weekly=said.weekly)


def _made(name: str) -> Analysis:
    columns = {column.name: column.kind.value for column in result_table(name).columns}
    return replace(_analysis(name), made_by=meaning(name).made_by, columns=columns)
