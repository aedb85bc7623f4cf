"""One file per vendor whose API is read: paths, filters, pages, errors. `VENDOR` is found by the file's name."""
