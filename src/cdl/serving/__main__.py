"""Start the model server: `python -m cdl.serving`."""

import sys

from cdl.serving.main import main

sys.exit(main())
