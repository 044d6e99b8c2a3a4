"""Code archives and release documents, kept by their content in a folder."""

from .directory import DirectoryArtifacts
from .pack import pack

__all__ = ["DirectoryArtifacts", "pack"]
