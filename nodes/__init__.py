"""The nodes of Limner, one a file, and the values that travel on their wires."""
