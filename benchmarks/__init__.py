"""Programs that measure; nothing here is installed, and no test depends on a figure of theirs."""
