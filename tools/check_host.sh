#!/usr/bin/env bash
# Says what this machine lacks to build (`build`) or test (`test`) edgevid, with the one command that installs it.
# As root on Debian or Ubuntu it installs the packages itself, so that containers and CI need no extra step.
set -euo pipefail
purpose=$1 python=$2
missing=()

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null; then
  echo "error: '$python' is not Python 3.11 or newer (fix: make ... PYTHON=/path/to/python3.11)" >&2
  exit 4
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ! include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))') || [ ! -f "$include/Python.h" ]; then
  missing+=(python3-dev)
fi
command -v c++ >/dev/null || missing+=(g++)
if [ "$purpose" = test ]; then
  command -v cmake >/dev/null || missing+=(cmake)
  command -v ninja >/dev/null || missing+=(ninja-build)
  [ -f /usr/include/gtest/gtest.h ] || missing+=(libgtest-dev)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}" >&2
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  exit 0
fi
echo "error: missing ${missing[*]} (fix: sudo apt-get install ${missing[*]})" >&2
exit 4
