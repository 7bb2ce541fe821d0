#!/usr/bin/env bash
# Makes the virtual environment VENV with edgevid[EXTRAS] built from this source tree.
#   make_venv.sh VENV PYTHON EXTRAS [editable]
set -euo pipefail
venv=$1 python=$2 extras=$3 mode=${4:-}
mkdir -p build
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
log=build/install.log
echo "building edgevid[$extras] into $venv (log: $log)" >&2
install=("$venv/bin/python" -m pip install --disable-pip-version-check)
if [ "$mode" = editable ]; then
  install+=(--config-settings=editable.mode=redirect --editable)
fi
if ! "${install[@]}" ".[$extras]" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "error: edgevid did not build or install (fix: read $log)" >&2
  exit 1
fi
