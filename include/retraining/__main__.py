"""Runs the command line."""

from retraining.cli import main

if __name__ == "__main__":
    main()
