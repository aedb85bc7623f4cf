"""The product as infrastructure: one construct per domain, two stacks, the local cloud and the `matakite` command."""
