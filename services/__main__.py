"""python -m services ROLE...: run any set of roles in one process; without a role, all of them."""

import argparse
import sys

from services.kit import app
from services.kit.bus.in_process import InProcessBus
from services.roles import ROLES


def main(arguments: list[str] | None = None) -> int:
    """Run the named roles in the order of the table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(ROLES))
    wanted = parser.parse_args(arguments).roles or list(ROLES)
    unknown = [name for name in wanted if name not in ROLES]
    if unknown:
        parser.error(f"no role {', '.join(unknown)}; the roles are {', '.join(ROLES)}")
    return app.run([(name, role) for name, role in ROLES.items() if name in wanted], InProcessBus)


if __name__ == "__main__":
    sys.exit(main())
