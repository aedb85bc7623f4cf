"""Lambdas of `customers`: who is who, what they agreed to, and the current state of a person."""
