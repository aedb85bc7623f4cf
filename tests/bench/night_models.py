"""The models' step of a benched night: CSV in, Parquet out, in the interpreter that has numpy and pyarrow."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from shared.analytics.models import night
from shared.analytics.parquet import TYPES
from shared.analytics.schema import Kind


def main(folder: Path, name: str, columns: dict[str, str]) -> None:
    """Learn, predict, and leave the rows as the lake keeps them."""
    inputs = [
        (folder / f"{each}.csv").read_text() for each in ("model_groups_v1", "model_spend_v1", "model_holdout_v1")
    ]
    predicted = night.run(*inputs, None)
    types = {column: TYPES[Kind(kind)] for column, kind in columns.items()}
    options = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=list(columns))
    rows: pa.Table = arrow_csv.read_csv(BytesIO(predicted.predictions.encode()), convert_options=options)
    pq.write_table(rows, folder / f"{name}.parquet", compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
