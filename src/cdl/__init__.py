"""Continuous Deep Learning: models kept in production true to what is in git."""
