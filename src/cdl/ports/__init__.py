"""What cdl needs of others, in its own words: at most five methods a port, promises in the docstrings."""
