"""Entry point of `python -m erasekit`, which launchers use."""

from erasekit.cli.app import main

if __name__ == "__main__":
    main()
