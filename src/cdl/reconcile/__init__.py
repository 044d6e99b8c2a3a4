"""Facts in, decision out; no input, no output, no clock."""
