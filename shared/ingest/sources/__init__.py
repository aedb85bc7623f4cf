"""One file per source of events; each names its adapter `ADAPTER`."""
