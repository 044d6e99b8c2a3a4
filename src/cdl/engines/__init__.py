"""Real systems through their real SDKs, turned into ports; an engine does not know another engine."""
