"""The models' step of a night: query results in, the fit, predictions out, and the audit as a report (モデル).

Athena groups the customers ─► fit_models: CSV in, columns out (numpy, scipy) ─► store_rows: Parquet in the lake
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from time import perf_counter
from typing import Any

from shared.analytics.lake import Objects
from shared.analytics.models import night
from shared.analytics.reports import MODEL_AUDIT, Reports
from shared.core.errors import RejectedError
from shared.core.ids import TenantId

PREFIX = "models/"
"""In the work bucket: predictions on their way into the lake."""

GROUPS, SPEND, HOLDOUT = "model_groups_v1", "model_spend_v1", "model_holdout_v1"
CALLS = "cancellation_holdout_v1"
"""Without it the predictions are the same: a failure of it stops nothing, and the last verdict stays."""


def fit(event: Mapping[str, Any], work: Objects, reports: Reports, now: datetime) -> dict[str, Any]:
    """One shop's night: {"tenant", "as_of", "name", "inputs": [{"name", "location", "scanned_bytes"}]} → {"key", …}.

    Safe to repeat: it writes the same again. Raises RejectedError when an input is missing.
    """
    started = perf_counter()
    tenant, as_of = TenantId(event["tenant"]), date.fromisoformat(event["as_of"])
    known = [each for each in event["inputs"] if each["name"] != CALLS or each.get("location")]
    texts = {each["name"]: _text(each, work) for each in known}
    if missing := [name for name in (GROUPS, SPEND, HOLDOUT) if name not in texts]:
        raise RejectedError(f"the models need {', '.join(missing)}")
    earlier = next((report for _, report in reports.latest(tenant, MODEL_AUDIT, before=as_of)), None)
    found = night.run(texts[GROUPS], texts[SPEND], texts[HOLDOUT], earlier)
    audited_on = as_of.isoformat() if found.audited else (earlier or {}).get("audited_on")
    reports.put(
        tenant,
        MODEL_AUDIT,
        as_of,
        found.report
        | {"as_of": as_of.isoformat(), "audited_on": audited_on, "made_at": now.isoformat()}
        | {"cancellation": night.calls(texts.get(CALLS, ""), as_of, earlier)},
    )
    key = f"{PREFIX}{tenant}/{as_of}/{event['name']}.columns"
    work.put(key, found.predictions)
    used = found.report["audit"]
    return {
        "key": key,
        "rows": found.rows,
        "model": used["use"],
        "source": used["source"],
        "audited": found.audited,
        "scanned_bytes": sum(int(each.get("scanned_bytes", 0)) for each in event["inputs"]),
        "milliseconds": round((perf_counter() - started) * 1000),
    }


def _text(each: Mapping[str, Any], work: Objects) -> str:
    if not each.get("location"):
        raise RejectedError(f"{each['name']}: {each.get('error', 'no result')}")
    return work.get(str(each["location"]).removeprefix(f"s3://{work.bucket}/")).decode()
