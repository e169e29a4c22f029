"""python -m cli: the `lintel` command; the launcher at the repository's root becomes this."""

import signal
import sys

try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the launcher holds it back until we can answer it
    from cli.main import main
except KeyboardInterrupt:  # Ctrl-C within the first tenth of a second, which the imports take
    sys.exit(130)

if __name__ == "__main__":
    main()
