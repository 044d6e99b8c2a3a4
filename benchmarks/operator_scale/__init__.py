"""How the operator does with a thousand resources, beside the API server's own floor: docs/reference/scale.md."""
