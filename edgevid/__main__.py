"""``python -m edgevid`` is ``edgevid``."""

from edgevid.app.cli import main

if __name__ == "__main__":
    main()
