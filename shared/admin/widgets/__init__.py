"""One module per view of the dashboard: what it reads (`load`) and how it is drawn (`render`, pure)."""
