"""Purchase models on a synthetic million, side by side with `lifetimes` and `pymc-marketing` in the same run.

The peers live in `.venv-peers` (`requirements/peers.txt`, made here when it is missing) and run in processes of their
own, ours too; of each the best round counts. Where they cannot be installed, the bench says so and shows ours alone.

Everybody predicts for the million, and learns from all of it with one exception: `lifetimes` fits Pareto/NBD by a
simplex search from a random start, minutes to an hour on a million, so it learns from `SAMPLE` of them and its fit is
held against ours on the same customers (MATAKITE_BENCH_FULL=1 gives it all).
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
MILLION = 1_000_000
MODELS = ("bg_nbd", "pareto_nbd")
SAMPLE = MILLION if FULL else 10_000
PEERS = ("lifetimes", "pymc-marketing")
LEARNS_FROM = {("lifetimes", "pareto_nbd"): SAMPLE}
OUR_ROUNDS, PEER_ROUNDS = 4, {"bg_nbd": 2, "pareto_nbd": 1}
WARM_UP = 1_000
"""Customers of a round that only fills the peers' compiler cache."""
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


def ours(name: str, customers: int, rounds: int = OUR_ROUNDS, of: int | None = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.million", str(shop(of or customers)), name, str(customers)]
    return best(command, rounds, **ONE_CORE)


def theirs(python: Path, peer: str, name: str, of: int, learns_from: int, rounds: int) -> dict[str, Any]:
    return best([str(python), "-m", "tests.bench.peers", str(shop(of)), peer, name, str(learns_from)], rounds)


def show(who: str, found: dict[str, Any]) -> None:
    steps = "".join(f"{step} {found['seconds'][step]:9.3f} s  " for step in BARS)
    means = f"mean E[26 weeks] {found['mean_orders']:.5f}  mean CLV {found['mean_value']:.4f}"
    say(f"  {who:16}{steps}peak {found['peak_mb']:6.0f} MB  {means}")


@pytest.mark.parametrize("name", MODELS)
def test_the_race(name: str) -> None:
    rounds = PEER_ROUNDS[name]
    say(f"\n{name}, {MILLION:,} customers, best of {OUR_ROUNDS} (peers {rounds}) fresh processes")
    mine = ours(name, MILLION)
    show("matakite", mine)
    assert mine["reliable"]
    python = peers_python()
    if python is None:
        pytest.skip("no peers: our own times are above")
    rivals = {}
    for peer in PEERS:
        theirs(python, peer, name, WARM_UP, WARM_UP, 1)
        learns_from = LEARNS_FROM.get((peer, name), MILLION)
        rivals[peer] = found = theirs(python, peer, name, MILLION, learns_from, rounds)
        show(peer, found)
        # What a sample says of everybody differs by a sampling error.
        near = 0.01 if learns_from == MILLION else 0.1
        assert mine["mean_orders"] == pytest.approx(found["mean_orders"], rel=near)
        assert mine["mean_value"] == pytest.approx(found["mean_value"], rel=near)
        if learns_from < MILLION:
            fit, own = found["seconds"].pop("fit"), ours(name, learns_from, of=MILLION)["seconds"]["fit"]
            say(f"    (it learns from {learns_from:,}: {fit:.3f} s; ours from the same {own:.3f} s, 1/{fit / own:.1f})")
            assert fit / own >= BARS["fit"]
    for step, times in BARS.items():
        fastest = min(each["seconds"][step] for each in rivals.values() if step in each["seconds"])
        ratio = fastest / mine["seconds"][step]
        say(f"  {step:8} 1/{ratio:.1f} of the fastest peer's time (bar 1/{times})")
        assert ratio >= times, step


def test_ten_million_customers_fit_in_little_memory() -> None:
    for name in MODELS:
        found = ours(name, 10 * MILLION, rounds=1)
        say(f"\n{name}, 10,000,000 customers in {found['groups']:,} groups")
        show("matakite", found)
        assert found["peak_mb"] < LIMIT_MB


def test_memory_grows_with_the_groups() -> None:
    curve = {size: ours("mbg_nbd", size, rounds=1)["peak_mb"] for size in (10_000, 100_000, MILLION)}
    say("\nmbg_nbd, peak MB by customers: " + ", ".join(f"{size:,}: {peak:.0f}" for size, peak in curve.items()))
    assert curve[MILLION] < 3 * curve[10_000]


def test_what_was_drawn_is_found_again() -> None:
    """But for the days that merge two purchases."""
    found = ours("bg_nbd", MILLION, rounds=1)
    assert found["parameters"] == pytest.approx((million.R, million.ALPHA, million.A, million.B), rel=0.08)
