"""Code archives and release documents, kept by their content in a folder."""

from .directory import DirectoryArtifacts
from .pack import pack
from .unpack import inside, unpack

__all__ = ["DirectoryArtifacts", "inside", "pack", "unpack"]
