"""The link to a survey: who is asked what, and on which occasion. It names the person by our own id only."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.signed_tokens import sign_fields, verify_fields

_KIND = "survey"


@dataclass(frozen=True, slots=True)
class SurveyToken:
    """One person asked once: a second occasion (another order) is another link."""

    tenant: TenantId
    survey_id: str
    customer_id: CustomerId
    occasion: str = ""


def sign(token: SurveyToken, keys: KeyRing) -> str:
    """The token as text that may stand in a URL path."""
    return sign_fields(_KIND, (token.tenant, token.survey_id, token.customer_id, token.occasion), keys)


def verify(text: str, keys: KeyRing) -> SurveyToken | None:
    """The token that one of our keys signed, or None for anything else."""
    fields = verify_fields(text, _KIND, 4, keys)
    if fields is None:
        return None
    tenant, survey, customer, occasion = fields
    return SurveyToken(TenantId(tenant), survey, CustomerId(customer), occasion)


def survey_url(public_url: str, token: SurveyToken, keys: KeyRing) -> str:
    """The address of the form, for a mail."""
    return f"{public_url}/v1/surveys/{sign(token, keys)}"
