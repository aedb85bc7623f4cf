"""Matakite's importable library: one package per business domain, imports running one way."""
