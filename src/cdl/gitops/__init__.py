"""Keeps resources true to a branch of a git repository: looks, renders, applies, prunes, reports."""
