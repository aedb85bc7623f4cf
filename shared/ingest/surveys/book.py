"""The surveys of a deployment: one SSM parameter each, `{prefix}/surveys/{tenant}/{survey}` (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.ingest.surveys.model import Survey, parse_survey, render_survey

MAX_AGE = timedelta(seconds=300)
MAX_BYTES = 8_000
"""What an SSM parameter holds at most."""


class Surveys(Protocol):
    """Where the pages find a survey."""

    def find(self, tenant: TenantId, survey_id: str, now: datetime) -> Survey | None:
        """The survey, or None when the shop has none of that id."""
        ...


class MemorySurveys:
    """Surveys in a dict, for tests."""

    def __init__(self, tenant: TenantId, *surveys: Survey) -> None:
        self._known = {(tenant, survey.survey_id): survey for survey in surveys}

    def find(self, tenant: TenantId, survey_id: str, now: datetime) -> Survey | None:
        """The survey, or None when the shop has none of that id."""
        return self._known.get((tenant, survey_id))


class SurveyBook:
    """Surveys in SSM; what is found is believed for five minutes."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._cache: dict[tuple[str, str], tuple[Survey, datetime]] = {}

    def find(self, tenant: TenantId, survey_id: str, now: datetime) -> Survey | None:
        """The survey, or None when the shop has none of that id."""
        known = self._cache.get((tenant, survey_id))
        if known and now - known[1] < MAX_AGE:
            return known[0]
        with domain_errors("read a survey"):
            try:
                answer = self._client.get_parameter(Name=self._name(tenant, survey_id))
            except self._client.exceptions.ParameterNotFound:
                return None
        survey = _parse(answer["Parameter"]["Value"], survey_id)
        self._cache[tenant, survey_id] = survey, now
        return survey

    def save(self, tenant: TenantId, survey: Survey) -> None:
        """Write a survey; pages show it within MAX_AGE. Raises RejectedError when it is too long."""
        text = json.dumps(render_survey(survey), ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) > MAX_BYTES:
            raise RejectedError(f"survey {survey.survey_id} is over {MAX_BYTES // 1000} KB: make it shorter")
        with domain_errors("write a survey"):
            self._client.put_parameter(
                Name=self._name(tenant, survey.survey_id),
                Value=text,
                Type="String",
                Tier="Intelligent-Tiering",
                Overwrite=True,
            )

    def all(self, tenant: TenantId) -> Iterator[Survey]:
        """Every survey of a shop."""
        with domain_errors("list surveys"):
            pages = self._client.get_paginator("get_parameters_by_path").paginate(Path=self._name(tenant, "")[:-1])
            for page in pages:
                for parameter in page["Parameters"]:
                    yield _parse(parameter["Value"], parameter["Name"])

    def _name(self, tenant: TenantId, survey_id: str) -> str:
        return f"{self._prefix}/surveys/{tenant}/{survey_id}"


def _parse(text: str, name: str) -> Survey:
    try:
        return parse_survey(json.loads(text))
    except (ValueError, RejectedError) as error:
        raise MisconfiguredError(f"survey {name} is not stored as `matakite` stores it: {error}") from None
