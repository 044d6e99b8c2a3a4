"""What the forge answers below /api/v4, a module a subject."""
