"""What trials find first on their PYTHONPATH; nothing here is imported by the master."""
