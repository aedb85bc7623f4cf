"""Money is an integer of the currency's minor unit, with its currency."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from shared.core.errors import RejectedError

_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
"""ISO 4217 minor units that are not 2."""


def exponent(currency: str) -> int:
    """Decimals of a currency (ISO 4217): JPY 0, USD 2."""
    return _EXPONENTS.get(currency.upper(), 2)


def parse_amount(text: str | int | float | Decimal, currency: str) -> int:
    """Vendor text to minor units: `"19800"` JPY, `"19800.00"` JPY and 19800 are 19800; `"404.95"` USD is 40495.

    Raises RejectedError for text that is no number or finer than the minor unit.
    """
    try:
        # str() first: a float from JSON such as 1180.0 must not bring its binary tail along.
        minor = Decimal(str(text).strip().replace(",", "")).scaleb(exponent(currency))
    except InvalidOperation:
        raise RejectedError(f"not an amount of money: {str(text)[:40]!r}") from None
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise RejectedError(f"not a whole number of {currency} minor units: {str(text)[:40]!r}")
    return int(minor)


def format_amount(minor: int, currency: str) -> str:
    """For people: `¥19,800`, `404.95 USD`."""
    if currency == "JPY":
        return f"¥{minor:,}" if minor >= 0 else f"-¥{-minor:,}"
    places = exponent(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f} {currency}"
