"""The labelling engine on Label Studio, over its REST API: the server's own library would cost 265 MB."""

from cdl.api.interfaces import TEMPLATES, interface

from .engine import LabelStudio

__all__ = ["TEMPLATES", "LabelStudio", "interface"]
