"""One file (or folder, where it outgrew one) per source of events; each names its adapter `ADAPTER`."""
