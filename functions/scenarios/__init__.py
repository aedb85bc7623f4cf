"""Lambdas of `scenarios`: scenario files, the state machines they compile to, and what happens to a cohort at a step."""
