"""The model server: one verified Release behind the Open Inference Protocol v2 and Seldon's protocol v0.1.

A program of its own: it runs in users' processes and images and imports nothing else of cdl.
"""
