"""What each tool does, without a terminal: plain values in, records out, callbacks on the way."""
