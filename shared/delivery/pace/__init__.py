"""The pace of sending and what workers share about it."""
