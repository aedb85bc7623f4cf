"""Lambdas of `admin`: what the admin sees and steers: widgets, explain, export, erase."""
