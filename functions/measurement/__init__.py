"""Lambdas of `measurement`: what was sent, what was held back, and what it earned."""
