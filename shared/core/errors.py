"""The errors every domain speaks, mapped once per trigger by the handlers.

    MatakiteError
    ├── RejectedError       their data is wrong: record it, answer 4xx, go on
    │   └── NotFoundError   what they named does not exist
    ├── UnavailableError    a service is busy or down: retry later
    └── MisconfiguredError  we are set up wrongly: page someone

Anything else is a bug and raises.
"""

from __future__ import annotations


class MatakiteError(Exception):
    """Base of everything Matakite raises on purpose."""


class RejectedError(MatakiteError):
    """The caller's data cannot be accepted; the message says what to change."""


class NotFoundError(RejectedError):
    """The thing the caller named does not exist."""


class UnavailableError(MatakiteError):
    """A service did not answer or asked us to slow down; the same call may succeed later."""


class MisconfiguredError(MatakiteError):
    """A setting, permission or parameter of this deployment is missing or wrong."""
