"""`python -m hookgate`: the command line."""

from hookgate.commands import main

if __name__ == "__main__":
    main()
