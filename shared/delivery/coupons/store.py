"""Where coupons are kept: table `deliveries`, beside the sends they go out with.

    pk {tenant}#coupons               sk {campaign}                         the book: terms, size, how many are taken
    pk {tenant}#coupons#{campaign}    sk codes#{nnnnnn}                     CODES_A_ROW codes
    pk {tenant}#{customer_id}         sk coupon#{campaign}#{occurrence}     what a person was given; an erasure takes it

Giving one is two writes (1 unit each) and two reads; loading a hundred thousand codes is five hundred rows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.delivery.coupons.issue import Book, Coupon, Terms

CODES_A_ROW = 200
"""4 KB at 20 letters a code: a read takes one or two of these rows' units."""

_GIVEN = "coupon#"

_Key = tuple[TenantId, str, CustomerId, str]


class MemoryCoupons:
    """Coupons in memory: for tests and rehearsals."""

    def __init__(self) -> None:
        self._books: dict[tuple[TenantId, str], Book] = {}
        self._codes: dict[tuple[TenantId, str], list[str]] = {}
        self._given: dict[_Key, Coupon] = {}
        self._lock = threading.Lock()

    def given(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str) -> Coupon | None:
        """See CouponStore."""
        return self._given.get((tenant, campaign, customer, occurrence))

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Sequence[Coupon]:
        """See CouponStore."""
        mine = ((key, coupon) for key, coupon in self._given.items() if (key[0], key[2]) == (tenant, customer))
        return [coupon for _, coupon in sorted(mine, key=lambda given: given[0])]

    def take(self, tenant: TenantId, campaign: str, on: date, count: int = 1) -> tuple[Book, int] | None:
        """See CouponStore."""
        with self._lock:
            book = self._books.get((tenant, campaign))
            if book is None or book.left < count or (book.terms.last_on or on) < on:
                return None
            self._books[tenant, campaign] = after = replace(book, taken=book.taken + count)
            return after, book.taken

    def code(self, tenant: TenantId, campaign: str, number: int) -> str:
        """See CouponStore."""
        return self._codes[tenant, campaign][number]

    def give(self, tenant: TenantId, customer: CustomerId, occurrence: str, coupon: Coupon) -> Coupon:
        """See CouponStore."""
        with self._lock:
            return self._given.setdefault((tenant, coupon.campaign, customer, occurrence), coupon)

    def book(self, tenant: TenantId, campaign: str) -> Book | None:
        """See CouponStore."""
        return self._books.get((tenant, campaign))

    def books(self, tenant: TenantId) -> Sequence[Book]:
        """See CouponStore."""
        return [self._books[key] for key in sorted(self._books) if key[0] == tenant]

    def codes(self, tenant: TenantId, campaign: str) -> Iterator[str]:
        """See CouponStore."""
        return iter(self._codes.get((tenant, campaign), ()))

    def add(self, tenant: TenantId, campaign: str, terms: Terms, codes: Sequence[str]) -> Book:
        """See CouponStore."""
        with self._lock:
            book = self._books.get((tenant, campaign)) or Book(campaign, terms)
            self._codes.setdefault((tenant, campaign), []).extend(codes)
            self._books[tenant, campaign] = added = replace(book, terms=terms, size=book.size + len(codes))
            return added


class DynamoCoupons:
    """Coupons in DynamoDB. Every write may be repeated by the SDK: a count made twice leaves a code unused."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client
        self._sizes: dict[tuple[TenantId, str], int] = {}
        """Of books as they were seen last: they only grow."""

    def given(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str) -> Coupon | None:
        """See CouponStore."""
        item = self._get(_given_key(tenant, campaign, customer, occurrence))
        return _coupon(item) if item else None

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Sequence[Coupon]:
        """See CouponStore."""
        return [_coupon(item) for item in self._query(f"{tenant}#{customer}", _GIVEN)]

    def take(self, tenant: TenantId, campaign: str, on: date, count: int = 1) -> tuple[Book, int] | None:
        """See CouponStore. There is room for several by the size that was seen last: a condition cannot add."""
        several = {":room": {"N": str(self._sizes.get((tenant, campaign), 0) - count)}} if count > 1 else {}
        room = "taken <= :room" if several else "taken < size_of"
        with domain_errors("take a coupon"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_book_key(tenant, campaign),
                    UpdateExpression="ADD taken :count",
                    ConditionExpression=f"{room} AND (attribute_not_exists(last_on) OR last_on >= :on)",
                    ExpressionAttributeValues={":count": {"N": str(count)}, ":on": {"S": on.isoformat()}, **several},
                    ReturnValues="ALL_NEW",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        book = _book(answer["Attributes"])
        self._sizes[tenant, campaign] = book.size
        return book, book.taken - count

    def code(self, tenant: TenantId, campaign: str, number: int) -> str:
        """See CouponStore."""
        row, place = divmod(number, CODES_A_ROW)
        item = self._get(_codes_key(tenant, campaign, row)) or {"codes": {"L": []}}
        codes = item["codes"]["L"]
        if place >= len(codes):
            raise RejectedError(f"code {number} of {campaign!r} is missing from its book: load the codes again")
        return str(codes[place]["S"])

    def give(self, tenant: TenantId, customer: CustomerId, occurrence: str, coupon: Coupon) -> Coupon:
        """See CouponStore."""
        key = _given_key(tenant, coupon.campaign, customer, occurrence)
        with domain_errors("give a coupon"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={**key, **_fields(coupon)},
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return self.given(tenant, coupon.campaign, customer, occurrence) or coupon
        return coupon

    def book(self, tenant: TenantId, campaign: str) -> Book | None:
        """See CouponStore."""
        item = self._get(_book_key(tenant, campaign))
        return _book(item) if item else None

    def books(self, tenant: TenantId) -> Sequence[Book]:
        """See CouponStore."""
        return [_book(item) for item in self._query(f"{tenant}#coupons")]

    def codes(self, tenant: TenantId, campaign: str) -> Iterator[str]:
        """See CouponStore."""
        for item in self._query(f"{tenant}#coupons#{campaign}"):
            yield from (code["S"] for code in item["codes"]["L"])

    def add(self, tenant: TenantId, campaign: str, terms: Terms, codes: Sequence[str]) -> Book:
        """See CouponStore. The codes first, then the size: a command that dies between can be given again."""
        book = self.book(tenant, campaign) or Book(campaign, terms)
        known = list(self.codes(tenant, campaign))[: book.size]
        together = [*known, *codes]
        for row in range(book.size // CODES_A_ROW, -(-len(together) // CODES_A_ROW)):
            self._put_codes(tenant, campaign, row, together[row * CODES_A_ROW : (row + 1) * CODES_A_ROW])
        self._resize(tenant, campaign, terms, book.size, len(together))
        return replace(book, terms=terms, size=len(together))

    def _put_codes(self, tenant: TenantId, campaign: str, row: int, codes: Sequence[str]) -> None:
        item = {**_codes_key(tenant, campaign, row), "codes": {"L": [{"S": code} for code in codes]}}
        with domain_errors("load coupons"):
            self._client.put_item(TableName=self._table, Item=item)

    def _resize(self, tenant: TenantId, campaign: str, terms: Terms, was: int, size: int) -> None:
        fields = {**_term_fields(terms), "size_of": {"N": str(size)}}
        gone = [name for name in ("last_on", "valid_days") if name not in fields]
        sets = ", ".join(f"{name} = :{name}" for name in fields)
        with domain_errors("load coupons"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_book_key(tenant, campaign),
                    UpdateExpression=f"SET {sets} ADD taken :none" + (f" REMOVE {', '.join(gone)}" if gone else ""),
                    ConditionExpression="attribute_not_exists(size_of) OR size_of = :was OR size_of = :size_of",
                    ExpressionAttributeValues={
                        **{f":{name}": value for name, value in fields.items()},
                        ":was": {"N": str(was)},
                        ":none": {"N": "0"},
                    },
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                raise RejectedError(f"codes of {campaign!r} are being loaded by somebody else: try again") from None

    def _get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        with domain_errors("read a coupon"):
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        found: dict[str, Any] | None = answer.get("Item")
        return found

    def _query(self, pk: str, sk: str = "") -> Iterator[dict[str, Any]]:
        begins, values = (" AND begins_with(sk, :sk)", {":sk": {"S": sk}}) if sk else ("", {})
        with domain_errors("read coupons"):
            for page in self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression=f"pk = :pk{begins}",
                ExpressionAttributeValues={":pk": {"S": pk}, **values},
                ConsistentRead=True,
            ):
                yield from page["Items"]


def _book_key(tenant: TenantId, campaign: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#coupons"}, "sk": {"S": campaign}}


def _codes_key(tenant: TenantId, campaign: str, row: int) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#coupons#{campaign}"}, "sk": {"S": f"codes#{row:06d}"}}


def _given_key(tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#{customer}"}, "sk": {"S": f"{_GIVEN}{campaign}#{occurrence}"}}


def _term_fields(terms: Terms) -> dict[str, Any]:
    fields: dict[str, Any] = {"benefit": {"S": terms.benefit}, "condition_text": {"S": terms.condition}}
    if terms.last_on:
        fields["last_on"] = {"S": terms.last_on.isoformat()}
    if terms.valid_days:
        fields["valid_days"] = {"N": str(terms.valid_days)}
    return fields


def _book(item: dict[str, Any]) -> Book:
    last_on, valid_days = item.get("last_on"), item.get("valid_days")
    terms = Terms(
        benefit=item["benefit"]["S"],
        condition=item["condition_text"]["S"],
        last_on=date.fromisoformat(last_on["S"]) if last_on else None,
        valid_days=int(valid_days["N"]) if valid_days else None,
    )
    return Book(item["sk"]["S"], terms, int(item["size_of"]["N"]), int(item["taken"]["N"]))


def _fields(coupon: Coupon) -> dict[str, Any]:
    fields = {
        "code": coupon.code,
        "benefit": coupon.benefit,
        "condition_text": coupon.condition,
        "given_at": to_iso(coupon.given_at),
    }
    ends = {"expires_on": coupon.expires_on.isoformat()} if coupon.expires_on else {}
    return {name: {"S": value} for name, value in {**fields, **ends}.items()}


def _coupon(item: dict[str, Any]) -> Coupon:
    expires_on = item.get("expires_on")
    return Coupon(
        campaign=item["sk"]["S"].split("#")[1],
        code=item["code"]["S"],
        benefit=item["benefit"]["S"],
        condition=item["condition_text"]["S"],
        expires_on=date.fromisoformat(expires_on["S"]) if expires_on else None,
        given_at=from_iso(item["given_at"]["S"]),
    )
