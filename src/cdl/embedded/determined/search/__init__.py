"""Searchers as pure, seedable values: no clock, no world, only what was reported."""
