"""Keep the records of DynamoDB streams over a restart.

Without it: with ``--keep`` MiniStack restores how far each function has read, but not the stream itself, so records
written after the restart lie before that position and are never delivered.
Mended by keeping the records (a day of them, as the streams do) beside the other state.
"""

from __future__ import annotations

import json
from pathlib import Path

from ministack import app
from ministack.services import dynamodb

from infra.local.emulator.gateway import at_shutdown
from infra.local.emulator.settings import EmulatorSettings


def _save(path: Path) -> None:
    path.write_text(
        json.dumps(
            {
                "records": [[*key, records] for key, records in dynamodb._stream_records._data.items()],
                "trimmed": [[*key, count] for key, count in dynamodb._stream_trimmed._data.items()],
            }
        )
    )


def _load(path: Path) -> None:
    state = json.loads(path.read_text())
    for store, rows in ((dynamodb._stream_records, state["records"]), (dynamodb._stream_trimmed, state["trimmed"])):
        for account, region, table, value in rows:
            store.set_scoped(account, region, table, value)


def install(settings: EmulatorSettings) -> None:
    """Save at the end, and load right after MiniStack has loaded its own state."""
    if not settings.keep:
        return
    path = settings.state_dir / "streams.json"
    load_services = app._load_persisted_state

    def load_all() -> None:
        if path.exists():
            _load(path)
        load_services()

    app._load_persisted_state = load_all
    at_shutdown(lambda: _save(path))
