"""The resources people write, as frozen values; imports nothing of cdl."""
