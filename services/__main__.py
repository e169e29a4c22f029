"""python -m services ROLE...: run any set of roles in one process; without a role, all of them."""

import argparse
import sys

from services.kit import app
from services.kit.bus.choose import choose_bus
from services.kit.config import unknown_variables
from services.roles import ROLES, known_variables


def main(arguments: list[str] | None = None) -> int:
    """Run the named roles in the order of the table; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(ROLES))
    parser.add_argument("--check-config", action="store_true", help="print the configuration, redacted, and end")
    options = parser.parse_args(arguments)
    wanted = options.roles or list(ROLES)
    unknown = [name for name in wanted if name not in ROLES]
    if unknown:
        parser.error(f"no role {', '.join(unknown)}; the roles are {', '.join(ROLES)}")
    for name, nearest in unknown_variables(known_variables()).items():
        print(f"lintel: nothing reads {name}" + (f"; is {nearest} meant?" if nearest else ""), file=sys.stderr)
    roles = {name: role for name, role in ROLES.items() if name in wanted}
    return app.run(roles, choose_bus, check_only=options.check_config)


if __name__ == "__main__":
    sys.exit(main())
