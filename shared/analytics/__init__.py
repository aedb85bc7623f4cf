"""The lake, the SQL analyses, and the segments they write."""
