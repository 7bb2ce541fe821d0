"""The ``edgevid`` command, also as ``python -m edgevid``: so small that Ctrl-C never meets a bare import."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it; exits with its code."""
    try:
        from edgevid.app.cli import main as run
    except KeyboardInterrupt:
        if "--json" in sys.argv:
            print('{"error": {"code": "interrupted", "message": "interrupted", "fix": null}}')
        else:
            print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
