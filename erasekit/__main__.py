"""`python -m erasekit` is the command line; launchers start it so."""

from erasekit.cli.app import main

if __name__ == "__main__":
    main()
