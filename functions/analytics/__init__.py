"""Lambdas of `analytics`: the lake, the SQL analyses, and the segments they write."""
