"""Reading carts' APIs (ポーリング): carts without webhooks, the reconciling poll beside those with, and read-backs.

| file | |
|---|---|
| `model.py` | what a vendor's API is to us: feeds, calls, pages, and where a walk through a feed stands |
| `rules.py` | which window and page to ask for next, what an answer means, ids of polled changes |
| `vendors/<source>.py` | one vendor's paths, filters, pages and errors; found by its name |
| `http.py`, `caller.py` | one request with limits; pace, 429, 5xx and an expired token around it |
| `tokens.py` | the chain of rotating refresh tokens, of which none may be lost |
| `store.py` | the pulls table: leases, cursors, memory of what was seen, token chains, health |
| `poll.py`, `read_back.py`, `plan.py` | the verbs: poll one connection, read one thing back, who is due |

A polled record goes through the source's own adapter as if a webhook had carried it, so it reads like one.

Adding a polled cart: its adapter in `sources/`, whose `envelopes` reads one record of a feed
(`shared/ingest/polled.py`), `vendors/<source>.py`, samples in `tests/samples/<source>/<feed>[@what is special].json`,
a `Cart` in `tests/contract/carts/test_polled.py`, its server in `tests/contract/pull/servers.py`, and a command in
`infra/cli/connection.py`. A cart with webhooks needs the vendor file only: its records are the webhooks' bodies.
"""
