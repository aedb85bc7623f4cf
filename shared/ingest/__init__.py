"""Carts, files and feedback, translated into one vocabulary of events."""
