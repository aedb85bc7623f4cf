"""Lambdas of `scenarios`: who is due, and what happens to a cohort at a step."""
