"""The labelling engine on Label Studio, over its REST API: the server's own library would cost 265 MB."""

from .engine import LabelStudio
from .templates import TEMPLATES, interface

__all__ = ["TEMPLATES", "LabelStudio", "interface"]
