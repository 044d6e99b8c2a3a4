"""The published test kit: engines in memory, builders of resources, and a contract suite for every port."""
