"""The ways a message leaves: one file per channel, all behind the same ledger and the same gate.

What else must know of a channel (how a deployment makes it, its address, price, consent and name) is listed, place by
place, in `tests/contract/delivery/test_every_channel.py`.
"""
