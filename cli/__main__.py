"""python -m cli: the `lintel` command; the launcher at the repository's root becomes this."""

from cli.main import main

if __name__ == "__main__":
    main()
