"""Addresses and secrets a shop connected for what goes out, one SSM SecureString each.

`{prefix}/endpoints/{tenant}/webhook` and `…/call`: `{"url": "https://…", "secret": "whsec_…"}` (`matakite endpoint`).
"""

from __future__ import annotations

import base64
import json
import secrets

from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId
from shared.core.shop import MAX_AGE_SECONDS
from shared.delivery.channels.channel import NotSentError
from shared.delivery.outbound import SECRET_BEGINS, Endpoint, check_url, key_of

NAMES = ("webhook", "call", "notify")


def parameter_name(prefix: str, tenant: TenantId, name: str) -> str:
    """The SSM parameter of one endpoint."""
    return f"{prefix}/endpoints/{tenant}/{name}"


def load_endpoint(prefix: str, tenant: TenantId, name: str) -> Endpoint | None:
    """The shop's endpoint, cached for 5 minutes; None where it has none."""
    text = secure_parameter(parameter_name(prefix, tenant, name))
    return parse_endpoint(text) if text else None


def required_endpoint(prefix: str, tenant: TenantId, name: str) -> Endpoint:
    """The shop's endpoint. Raises MisconfiguredError where it has none."""
    found = load_endpoint(prefix, tenant, name)
    if found is None:
        raise MisconfiguredError(f"shop {tenant!r} has no endpoint {name!r}: run `matakite endpoint set {name}`")
    return found


def parse_endpoint(text: str) -> Endpoint:
    """An endpoint from its JSON. Raises MisconfiguredError; the message never shows the secret."""
    try:
        document = json.loads(text)
        endpoint = Endpoint(str(document["url"]), str(document["secret"]))
    except (ValueError, KeyError, TypeError):
        raise MisconfiguredError("an endpoint is JSON with 'url' and 'secret'; see `matakite endpoint set`") from None
    check_url(endpoint.url)
    key_of(endpoint.secret)
    return endpoint


def render_endpoint(endpoint: Endpoint) -> str:
    """The JSON `parse_endpoint` reads."""
    return json.dumps({"url": endpoint.url, "secret": endpoint.secret})


def new_secret() -> str:
    """`whsec_` and 32 random bytes."""
    return SECRET_BEGINS + base64.b64encode(secrets.token_bytes(32)).decode()


def secure_parameter(name: str) -> str | None:
    """One SecureString, cached for 5 minutes; None where there is none."""
    from aws_lambda_powertools.utilities import parameters
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    try:
        return str(parameters.get_parameter(name, max_age=MAX_AGE_SECONDS, decrypt=True))
    except GetParameterError as error:
        if "ParameterNotFound" in str(error):
            return None
        # Nothing was sent yet: the batch may come back.
        raise NotSentError("a shop's connection could not be read from SSM") from error
