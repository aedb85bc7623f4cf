"""One file is one Lambda: it wires, and holds no business decision."""
