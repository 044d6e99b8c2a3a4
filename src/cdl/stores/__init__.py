"""Places where files are kept, turned into ports; a store does not know another store."""
