"""The kinds of files: each module here is one kind, found by `shared.ingest.files.registry`."""
