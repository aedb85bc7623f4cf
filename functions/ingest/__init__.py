"""Lambdas of `ingest`: carts, files and feedback, translated into one vocabulary of events."""
