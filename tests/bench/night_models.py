"""The models' step of a benched night: CSV in, Parquet out, in the interpreter that has numpy and pyarrow."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from shared.analytics.models import night
from shared.analytics.parquet import TYPES
from shared.analytics.schema import Kind
from shared.analytics.stored_rows import unpack


def main(folder: Path, name: str, columns: dict[str, str]) -> None:
    """Learn, predict, and leave the rows as the lake keeps them."""
    groups, spend, holdout = (
        (folder / f"{each}.csv").read_text() for each in ("model_groups_v1", "model_spend_v1", "model_holdout_v1")
    )
    predicted = night.run(groups, spend, holdout, None)
    types = {column: TYPES[Kind(kind)] for column, kind in columns.items()}
    pq.write_table(unpack(predicted.predictions, types), folder / f"{name}.parquet", compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
