"""The message that somebody was erased, from the fold to whoever deletes the rest (`shared/admin/erase.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.core.aws import client, domain_errors
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId


@dataclass(frozen=True, slots=True)
class ErasureQueue:
    """A queue of ids; nothing personal is in a message."""

    url: str
    sqs: Any = None

    def tell(self, tenant: TenantId, customer_id: CustomerId) -> None:
        """Somebody was erased. Telling it twice is harmless."""
        body = json.dumps({"tenant": tenant, "customer_id": customer_id})
        with domain_errors("tell of an erasure"):
            (self.sqs or client("sqs")).send_message(QueueUrl=self.url, MessageBody=body)


def read_message(body: str) -> tuple[TenantId, CustomerId]:
    """Who was erased. Raises RejectedError for anything else."""
    try:
        document = json.loads(body)
        return TenantId(document["tenant"]), CustomerId(document["customer_id"])
    except (ValueError, KeyError, TypeError):
        raise RejectedError("not a message about an erasure") from None
