#!/usr/bin/env bash
# Usage: .ci/venv.sh PYTHON VENV
# Creates VENV with PYTHON, or says in one line why it cannot. Does nothing where VENV is there already.
set -euo pipefail
python=$1
venv=$2

say() { printf 'aat: %s\n' "$*" >&2; }

if ! command -v "$python" >/dev/null 2>&1; then
    say "no $python on PATH; install Python 3.10 to 3.13, or name one: make PYTHON=python3.12"
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "$version" in
    3.10 | 3.11 | 3.12 | 3.13) ;;
    *)
        say "$python is Python $version; Taichi 1.7.4 has wheels for 3.10 to 3.13: make PYTHON=python3.12"
        exit 1
        ;;
esac

if [ -x "$venv/bin/python" ]; then
    there=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$there" != "$version" ] && [ -n "${PYTHON_GIVEN:-}" ]; then
        say "$venv holds Python $there, not $version; remove it, or name another: make VENV=.venv-$version"
        exit 1
    fi
    exit 0
fi

# Debian packs venv and ensurepip apart from the interpreter.
if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update && apt-get install -y --no-install-recommends "python$version-venv"; } \
            >/dev/null 2>&1 </dev/null || true
    fi
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        say "Python $version has no venv module; install it first: apt-get install python$version-venv"
        exit 1
    fi
fi
say "creating $venv with Python $version"
"$python" -m venv "$venv"
