"""Surveys (アンケート): hosted forms behind signed links, and answers posted from elsewhere."""
