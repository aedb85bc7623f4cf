"""Segments (セグメント): who is meant, said once, found in the lake at night and in the live state at once."""
