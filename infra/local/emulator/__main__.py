"""Serve the local cloud: check the version, set the environment, patch MiniStack, answer until told to stop."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
import sys
from importlib.metadata import version

from infra.local.emulator.settings import (
    HOST,
    SUPPORTED_MINISTACK,
    EmulatorSettings,
    apply_environment,
    parse_arguments,
)

#: Each module has ``install(settings)`` and says in its docstring what it mends.
PATCHES = (
    "secure_loopback",
    "function_worker",
    "reachable_urls",
    "cors_settings",
    "resource_arns",
    "secret_refs",
    "grant_recorder",
    "service_roles",
    "stream_failures",
    "backlog",
    "kept_streams",
    "statements",
    "repetition",
    "scans",
    "schedules",
    "athena_engine",
    "state_machines",
    "emf_metrics",
    "service_metrics",
    "ses_events",
    "sms_messages",
    "call_counter",
    "lost_replies",
)


def check_version(found: str) -> None:
    """Refuse any other MiniStack: the patches reach into functions that move between releases."""
    if found != SUPPORTED_MINISTACK:
        sys.exit(
            f"The local cloud is written for ministack {SUPPORTED_MINISTACK}, but {found} is installed. "
            "Run `make setup` to restore the pinned environment, or port infra/local/emulator to the new version."
        )


def install_patches(settings: EmulatorSettings) -> None:
    """Apply every patch, in order."""
    for name in PATCHES:
        importlib.import_module(f"infra.local.emulator.{name}").install(settings)


async def _serve(settings: EmulatorSettings) -> None:
    from hypercorn.asyncio import serve  # type: ignore[import-not-found,unused-ignore]
    from hypercorn.config import Config  # type: ignore[import-not-found,unused-ignore]
    from ministack.app import app

    from infra.local.emulator.gateway import gateway, remember_connections, run_shutdown_actions

    remember_connections()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    await serve(gateway(app), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type,unused-ignore]
    run_shutdown_actions()


def main() -> None:
    """Run the emulator in the foreground."""
    settings = parse_arguments()
    check_version(version("ministack"))
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    apply_environment(settings)
    install_patches(settings)
    # Every row of a table is a dozen dicts that stay: looking through them for cycles after each 700 is wasted.
    gc.set_threshold(50_000, 20, 50)
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
