"""Functions deployed without pyarrow must not need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = ("start_nights", "plan_night", "plan_stage")
"""Those that infra/analytics.py gives the light bundle."""


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_function_starts_without_pyarrow(name: str) -> None:
    program = f"import sys; sys.modules['pyarrow'] = None; import functions.analytics.{name}"
    subprocess.run([sys.executable, "-c", program], check=True, env={})  # an empty environment, too
