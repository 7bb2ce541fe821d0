from __future__ import annotations

import subprocess
import sys

_CODE = """
import pkgutil, sys, edgevid.media
for module in pkgutil.iter_modules(edgevid.media.__path__):
    __import__(f"edgevid.media.{module.name}")
print(sorted(name for name in ("av", "soxr", "onnxruntime", "msgspec", "PIL") if name in sys.modules))
"""


def test_importing_the_room_loads_no_heavy_package() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "[]"
