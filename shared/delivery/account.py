"""The SES account behind the queue of mail: its quota, and the turns of a deployment's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.aws import client, domain_errors
from shared.delivery.pace.store import DynamoPaceStore
from shared.delivery.pacing import MailTurns, Pace, Quota

if TYPE_CHECKING:
    from mypy_boto3_sesv2.client import SESV2Client

ACCOUNT = "ses"
"""One account, one region: one queue."""


def read_quota(ses: SESV2Client) -> Quota:
    """What SES says the account may send. Raises UnavailableError when it does not answer."""
    with domain_errors("read the SES account"):
        account = ses.get_account()
    quota = account.get("SendQuota", {})
    return Quota(
        per_second=float(quota.get("MaxSendRate", 1.0)),
        per_day=float(quota.get("Max24HourSend", 200.0)),
        used_today=float(quota.get("SentLast24Hours", 0.0)),
        enabled=bool(account.get("SendingEnabled", True)),
    )


def may_send_from(ses: SESV2Client, address: str) -> bool:
    """Has SES verified this sender: the address itself, its domain, or a domain above that?"""
    labels = address.rpartition("@")[2].split(".")
    domains = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return any(_verified(ses, identity) for identity in (address, *domains))


def _verified(ses: SESV2Client, identity: str) -> bool:
    try:
        return ses.get_email_identity(EmailIdentity=identity)["VerifiedForSendingStatus"]
    except ses.exceptions.NotFoundException:
        return False


def live_turns(deliveries_table: str) -> MailTurns:
    """The queue every worker of this deployment stands in."""
    store = DynamoPaceStore(deliveries_table, client("dynamodb"))
    # Asking for the quota may be repeated; sending may not, and has a client of its own.
    return MailTurns(Pace(ACCOUNT, store, lambda: read_quota(client("sesv2"))), store)
