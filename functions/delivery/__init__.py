"""Lambdas of `delivery`: the send ledger, the contact policy, channels, templates and what came back."""
