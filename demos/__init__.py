"""Stories that are played on one machine: what people do, and what the platform makes of it."""
