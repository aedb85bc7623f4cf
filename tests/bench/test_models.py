"""Purchase models on a synthetic shop, side by side with `lifetimes` and `pymc-marketing` in the same run.

The peers live in `.venv-peers` (`requirements/peers.txt`, made here when it is missing) and run in processes of their
own, ours too; of each the best round counts. Where they cannot be installed, the bench says so and shows ours alone.

BG/NBD is raced on a million customers, Pareto/NBD on a hundred thousand: on a million `lifetimes` takes five minutes
(MATAKITE_BENCH_FULL=1 does it all the same).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.bench import million

ROOT = Path(__file__).parents[2]
FULL = bool(os.environ.get("MATAKITE_BENCH_FULL"))
SIZES = {"bg_nbd": 1_000_000, "pareto_nbd": 1_000_000 if FULL else 100_000}
PEERS = ("lifetimes", "pymc-marketing")
OUR_ROUNDS, PEER_ROUNDS = 4, 2
LIMIT_MB = 1_500
ONE_CORE = {"OPENBLAS_NUM_THREADS": "1"}
"""For ours: its matrices are tiny, and waking a second thread costs more than it brings. Peers use all cores."""
BARS = {"fit": 12, "predict": 3, "clv": 20}
"""How many times faster than the fastest peer."""


@cache
def peers_python() -> Path | None:
    """The peers' interpreter, installed on demand; None (and a visible line) where that is not possible."""
    from uv import find_uv_bin

    home, lock = ROOT / ".venv-peers", ROOT / "requirements" / "peers.txt"
    python, done = home / "bin" / "python", home / f".ready-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if done.exists():
        return python
    create = [find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)]
    install = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock)]
    for command in (create, install):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            say(f"the peers cannot be installed, ours alone: {ran.stderr.strip().splitlines()[-1]}")
            return None
    done.touch()
    return python


def say(line: str) -> None:
    sys.__stdout__.write(line + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


@cache
def shop(customers: int) -> Path:
    path = ROOT / ".build" / "bench" / f"shop-{customers}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        million.write(path, customers)
    return path


def best(command: list[str], rounds: int, **more: str) -> dict[str, Any]:
    """The fastest of several fresh processes, step by step; the largest peak."""
    # A compiler's cache of its own, so that nothing is left outside this folder; the first round fills it.
    environment = os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={ROOT / '.build' / 'pytensor'}"} | more
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(ran.stderr[-2000:])
        found.append(json.loads(ran.stdout.strip().splitlines()[-1]))
    fastest = {step: min(each["seconds"][step] for each in found) for step in found[0]["seconds"]}
    return found[0] | {"seconds": fastest, "peak_mb": max(each["peak_mb"] for each in found)}


def ours(name: str, customers: int, rounds: int = OUR_ROUNDS) -> dict[str, Any]:
    return best([sys.executable, "-m", "tests.bench.million", str(shop(customers)), name], rounds, **ONE_CORE)


def show(who: str, found: dict[str, Any]) -> None:
    steps = "".join(f"{step} {found['seconds'][step]:9.3f} s  " for step in BARS if step in found["seconds"])
    say(f"  {who:16}{steps}peak {found['peak_mb']:6.0f} MB  mean E[26 weeks] {found['mean_orders']:.5f}")


@pytest.mark.parametrize("name", SIZES)
def test_the_race(name: str) -> None:
    customers = SIZES[name]
    say(f"\n{name}, {customers:,} customers, best of {OUR_ROUNDS} (peers {PEER_ROUNDS}) fresh processes")
    mine = ours(name, customers)
    show("matakite", mine)
    assert mine["reliable"]
    python = peers_python()
    if python is None:
        pytest.skip("no peers: our own times are above")
    rivals = {}
    for peer in PEERS:
        rivals[peer] = best([str(python), "tests/bench/peers.py", str(shop(customers)), peer, name], PEER_ROUNDS)
        show(peer, rivals[peer])
        assert mine["mean_orders"] == pytest.approx(rivals[peer]["mean_orders"], rel=0.01)
    for step, times in BARS.items():
        fastest = min((each["seconds"][step] for each in rivals.values() if step in each["seconds"]), default=None)
        if fastest is not None:
            ratio = fastest / mine["seconds"][step]
            say(f"  {step:8} 1/{ratio:.1f} of the fastest peer's time (bar 1/{times})")
            if customers >= 1_000_000 or step != "clv":
                assert ratio >= times, step


def test_ten_million_customers_fit_in_little_memory() -> None:
    for name in SIZES:
        found = ours(name, 10_000_000, rounds=1)
        say(f"\n{name}, 10,000,000 customers in {found['groups']:,} groups")
        show("matakite", found)
        assert found["peak_mb"] < LIMIT_MB


def test_memory_grows_with_the_groups() -> None:
    curve = {size: ours("mbg_nbd", size, rounds=1)["peak_mb"] for size in (10_000, 100_000, 1_000_000)}
    say("\nmbg_nbd, peak MB by customers: " + ", ".join(f"{size:,}: {peak:.0f}" for size, peak in curve.items()))
    assert curve[1_000_000] < 3 * curve[10_000]


def test_what_was_drawn_is_found_again() -> None:
    """But for the days that merge two purchases."""
    found = ours("bg_nbd", 1_000_000, rounds=1)
    assert found["parameters"] == pytest.approx((million.R, million.ALPHA, million.A, million.B), rel=0.08)
