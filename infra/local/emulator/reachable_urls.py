"""Give a deployed HTTP API an address that every client on this machine can open.

Without it: ``ApiEndpoint`` is ``http://<id>.execute-api.localhost:<port>``, a name many resolvers do not know, so
links in mails and printed URLs would not open. (On AWS it is ``https://<id>.execute-api.<region>.amazonaws.com``.)
Mended by answering the path form MiniStack also serves: ``http://127.0.0.1:<port>/_aws/execute-api/<id>``.
"""

from __future__ import annotations

from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from infra.local.emulator.settings import EmulatorSettings


def install(settings: EmulatorSettings) -> None:
    """Patch the CloudFormation resource; the templates create APIs in no other way."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create = handlers["create"]

    def create_reachable(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        api_id, attributes = create(logical_id, props, stack_name)
        endpoint = f"{settings.endpoint}/_aws/execute-api/{api_id}"
        apigateway._apis[api_id]["apiEndpoint"] = endpoint
        return api_id, {**attributes, "ApiEndpoint": endpoint}

    handlers["create"] = create_reachable
