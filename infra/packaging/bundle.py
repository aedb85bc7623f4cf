"""Code bundles for Lambda: our sources, the compiled mail templates and the locked packages of one dependency group.

Built with uv alone (no Docker), for the real Lambda (arm64) or for the machine the local cloud runs on. The packages
are installed once per lock file; a change of code only stages the sources again, in a fraction of a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from uv import find_uv_bin

from infra.packaging.mjml import MjmlError, compile_mjml

ROOT = Path(__file__).parents[2]
SOURCES = ("functions", "shared")
TEMPLATES = Path("shared/delivery/templates")
LIMIT_BYTES = 250 * 1024 * 1024  # what Lambda accepts, unpacked
KEPT_PER_GROUP = 3

# Never needed at run time. Of pyarrow: its tests, what C++ compiles against, and a protocol we do not speak.
UNUSED = (
    ".lock", "bin", "**/__pycache__",
    "pyarrow/tests", "pyarrow/include", "pyarrow/src", "pyarrow/*.pxd", "pyarrow/*.pyx",
    "pyarrow/*flight*",
    "numpy/**/tests", "scipy/**/tests", "numpy/_core/include", "numpy/_core/lib", "**/*.pyi",
)  # fmt: skip
LOCALES = re.compile(r"(root|en|ja)(_\w+)?")  # of babel's thousand, 29 MB: those the screens and mails are written in


class Group(StrEnum):
    """A set of packages that functions share; its lock file is `requirements/<group>.txt`."""

    LIGHT = "light"
    LAKE = "lake"
    MODEL = "model"


class Platform(StrEnum):
    """Where a bundle runs: Lambda (python3.13, arm64), or this machine, in the local cloud."""

    LAMBDA = "lambda"
    HOST = "host"


# Lambda is Amazon Linux 2023 (glibc 2.34). pyarrow publishes wheels from manylinux_2_28 on, so that is the one taken.
INSTALL_FOR = {
    Platform.LAMBDA: ("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"),
    Platform.HOST: ("--python", sys.executable),
}


class BundleError(RuntimeError):
    """A bundle that cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Bundle:
    """An unpacked code bundle, ready to be zipped and uploaded.

    `asset_hash` depends on the sources and the lock only, never on the platform: the template that is tested in the
    local cloud is the template that a real account gets.
    """

    path: Path
    asset_hash: str
    unpacked_bytes: int


def bundle(group: Group, platform: Platform, root: Path = ROOT) -> Bundle:
    """Build the bundle of a dependency group, or return the one already built from the same files.

    Raises `BundleError` when packages cannot be installed, a mail template does not compile, or Lambda would refuse
    the size.
    """
    digest = asset_hash(group, root)
    home = root / ".build" / "bundles" / platform / group
    path = home / digest[:16]
    with _one_at_a_time(home):
        if not path.exists():
            _stage(path, _packages(group, platform, root), root)
            _prune(home, keep=path)
        return Bundle(path, digest, _checked_size(path))


def bundle_all(platform: Platform, root: Path = ROOT) -> dict[Group, Bundle]:
    """The bundles of every group, as the CDK app takes them."""
    return {group: bundle(group, platform, root) for group in Group}


def asset_hash(group: Group, root: Path = ROOT) -> str:
    """What a bundle is made of, as a hash: the lock, the sources and how they are put together."""
    digest = hashlib.sha256(_recipe(group, root).encode())
    for file in source_files(root):
        digest.update(f"{file.relative_to(root).as_posix()}\0{_hash_of(file)}\n".encode())
    return digest.hexdigest()


def source_files(root: Path = ROOT) -> list[Path]:
    """The files of ours that go into every bundle, in a stable order."""
    found = (file for folder in SOURCES for file in (root / folder).rglob("*") if file.is_file())
    return sorted(file for file in found if not _is_clutter(file.relative_to(root)))


def largest_packages(path: Path, count: int = 8) -> list[tuple[str, int]]:
    """The biggest top-level folders of a bundle with their bytes, biggest first."""
    sizes = ((entry.name, _bytes_of(entry)) for entry in path.iterdir())
    return sorted(sizes, key=lambda item: -item[1])[:count]


def _is_clutter(relative: Path) -> bool:
    return "__pycache__" in relative.parts or relative.suffix == ".pyc" or relative.name.startswith(".")


def _recipe(group: Group, root: Path) -> str:
    """Everything but the sources that decides what a bundle holds."""
    parts = [_hash_of(_lock_of(group, root)), version("mjml-python")]
    parts += [_hash_of(file) for file in sorted(Path(__file__).parent.glob("*.py"))]
    return " ".join(parts)


def _lock_of(group: Group, root: Path) -> Path:
    return root / "requirements" / f"{group}.txt"


def _hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- packages ---------------------------------------------------------------------------------------------------------
def _packages(group: Group, platform: Platform, root: Path) -> Path:
    """The installed packages of a group, kept until its lock file changes."""
    kept = root / ".build" / "packages" / platform
    python = "3.13" if platform is Platform.LAMBDA else sys.implementation.cache_tag
    target = kept / f"{group}-{python}-{hashlib.sha256(_recipe(group, root).encode()).hexdigest()[:16]}"
    if not target.exists():
        for outdated in kept.glob(f"{group}-*"):
            shutil.rmtree(outdated)
        with _appearing(target) as folder:
            _install(_lock_of(group, root), platform, folder)
            _remove_unused(folder)
    return target


def _install(lock: Path, platform: Platform, folder: Path) -> None:
    """Install exactly what the lock names. The runtime's own packages (boto3 and what it brings) are not in it."""
    command = [
        find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--target", str(folder),
        "--requirements", str(lock), "--require-hashes", "--no-deps", "--only-binary", ":all:", *INSTALL_FOR[platform],
    ]  # fmt: skip
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise BundleError(f"could not install {lock.name} for {platform}:\n{outcome.stderr.strip()}")


def _remove_unused(folder: Path) -> None:
    for pattern in UNUSED:
        for found in sorted(folder.glob(pattern)):
            shutil.rmtree(found, ignore_errors=True) if found.is_dir() else found.unlink(missing_ok=True)
    for locale in folder.glob("babel/locale-data/*.dat"):
        if not LOCALES.fullmatch(locale.stem):
            locale.unlink()


# --- staging ----------------------------------------------------------------------------------------------------------
def _stage(path: Path, packages: Path, root: Path) -> None:
    with _appearing(path) as folder:
        shutil.copytree(packages, folder, copy_function=_link, dirs_exist_ok=True)
        for file in source_files(root):
            target = folder / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        _compile_templates(folder)


def _link(source: str, target: str) -> str:
    """Hard links make a bundle of 130 MB appear at once; where the disk knows none, copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _compile_templates(folder: Path) -> None:
    """Put the `.html` beside every `.mjml`."""
    for template in sorted((folder / TEMPLATES).rglob("*.mjml")):
        try:
            html = compile_mjml(template.read_text("utf-8"))
        except (MjmlError, UnicodeDecodeError) as error:
            raise BundleError(f"{template.relative_to(folder)}: {error}") from error
        template.with_suffix(".html").write_text(html, "utf-8")


def _checked_size(path: Path) -> int:
    size = _bytes_of(path)
    if size > LIMIT_BYTES:
        biggest = ", ".join(f"{name} {_megabytes(each)}" for name, each in largest_packages(path))
        raise BundleError(
            f"{path} is {_megabytes(size)} unpacked, Lambda takes {_megabytes(LIMIT_BYTES)}. Biggest: {biggest}. "
            "Split the group, or drop a package from requirements/*.in and run `make lock`."
        )
    return size


def _bytes_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"


def _prune(home: Path, keep: Path) -> None:
    """Forget older bundles, so that a day of editing does not fill the disk."""
    others = [folder for folder in home.iterdir() if folder.is_dir() and folder != keep]
    newest_first = sorted(others, key=lambda folder: -folder.stat().st_mtime)
    for folder in newest_first[KEPT_PER_GROUP - 1 :]:
        shutil.rmtree(folder)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A folder that appears whole or not at all, however the work inside ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as temporary:
        folder = Path(temporary) / path.name
        folder.mkdir()
        yield folder
        folder.rename(path)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two commands may bundle at once; the second waits and finds the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Build what a real account gets, and show what it weighs."""
    for group, built in bundle_all(Platform.LAMBDA).items():
        print(f"{group:6} {_megabytes(built.unpacked_bytes):>9} of {_megabytes(LIMIT_BYTES)}  {built.path}")
        for name, size in largest_packages(built.path):
            print(f"       {_megabytes(size):>9} {name}")


if __name__ == "__main__":
    main()
