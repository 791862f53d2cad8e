"""`hookgate`, and `python -m hookgate`: the command line."""

import sys


def main() -> None:
    """Run the command line; `hookgate hook`, which starts for every hook, without the rest of it."""
    if sys.argv[1:2] == ["hook"] and not {"--help", "-h"} & set(sys.argv):
        from hookgate.client.bridge.start import start

        start(sys.argv[2:])
    from hookgate.commands import main as commands

    commands()


if __name__ == "__main__":
    main()
