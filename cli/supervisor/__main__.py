"""python -m cli.supervisor: one embedded system in the foreground; started by `lintel up`."""

import os
import sys
from pathlib import Path

from cli.supervisor.options import parse
from cli.supervisor.supervisor import Supervisor


def main() -> int:
    """Run until a stop signal; 0 after an orderly end, 1 when the system could not be started."""
    options = parse(sys.argv[1:])
    working_directory = Path.cwd()
    os.chdir("/")  # keeps no mount or repository busy
    return Supervisor(options, dict(os.environ), working_directory).run()


if __name__ == "__main__":
    sys.exit(main())
