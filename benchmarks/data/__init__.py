"""How fast data goes into the platform and comes out of it, beside cp, git and DVC on the same machine."""
