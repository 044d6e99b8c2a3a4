"""Start the embedded Seldon: `python -m cdl.embedded.seldon --data DIR --port N --router-port M`."""

import sys

from cdl.embedded.seldon.main import main

sys.exit(main())
