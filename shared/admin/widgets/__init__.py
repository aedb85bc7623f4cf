"""One module per view of the dashboard: what it reads (`load`) and how it is drawn (`render`, pure).

`views.py` finds it and says what it must name; a report of what it reads goes into `a_shop` of its tests.
"""
