"""One file a reader: what it is fed first, and how it reads a file of any bytes."""
