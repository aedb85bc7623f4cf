"""Servers on loopback that answer as the companies outside would: for the local cloud and the contract suites."""
