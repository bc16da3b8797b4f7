"""`python -m erasekit` is the command line; launchers start it so."""

from erasekit.cli import main

if __name__ == "__main__":
    main()
