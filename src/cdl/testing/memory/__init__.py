"""Every port in memory: honest small state machines; `advance()` lets time pass."""

from .artifacts import MemoryArtifacts
from .data import MemoryData
from .forge import MemoryForge
from .labelled import MemoryLabelled
from .labelling import MemoryLabelling
from .labels import MemoryLabels
from .ledger import MemoryLedger
from .raw import MemoryRaw
from .resources import MemoryResources
from .serving import MemoryServing
from .signing import MemorySigner
from .sources import MemorySources, archive
from .training import MemoryTraining

__all__ = [
    "MemoryArtifacts",
    "MemoryData",
    "MemoryForge",
    "MemoryLabelled",
    "MemoryLabelling",
    "MemoryLabels",
    "MemoryLedger",
    "MemoryRaw",
    "MemoryResources",
    "MemoryServing",
    "MemorySigner",
    "MemorySources",
    "MemoryTraining",
    "archive",
]
