#!/usr/bin/env bash
# Builds sdist and wheel, installs the wheel into a clean environment and uses it from an empty folder.
set -euo pipefail
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/build" && "$work/build/bin/pip" install -q build
"$work/build/bin/python" -m build --outdir dist . >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; exit 1; }
"$python" -m venv "$work/clean"
"$work/clean/bin/pip" install -q dist/*.whl
cd "$work"
"$work/clean/bin/edgevid" --version
"$work/clean/bin/edgevid" doctor || [ $? -eq 4 ] # 4: model packs are not pulled, which is fine here
"$work/clean/bin/python" - <<'PY'
import edgevid._native
import numpy as np
from edgevid.bench.answers import load_questions
from edgevid.models.store import ModelStore
assert load_questions("heldout")["questions"], "the question sets are in the wheel"
assert ModelStore().where("efficientnet-lite0"), "the embedded pack is in the wheel"
print("wheel works:", np.__version__, edgevid._native.__name__)
PY
