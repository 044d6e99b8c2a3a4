"""The forge on GitLab: python-gitlab, whether the server is GitLab or the one for laptops."""

from .engine import GitLabForge

__all__ = ["GitLabForge"]
