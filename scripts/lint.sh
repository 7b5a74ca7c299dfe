#!/bin/sh
# Linters and checks, as `./run lint` and `.ci/run` call them; the virtual environment is on PATH.
set -eu
step() { printf '\n== %s\n' "$1"; }

step "ruff"
ruff check .
ruff format --check .

step "mypy"
mypy accounts api messaging pitch templates_app videos scripts

step "layers"
lint-imports

step "locks and copies"
if grep -nEi 'https?://|index-url|find-links|trusted-host|resolved' requirements/*.txt; then
  echo "A lock file names a host." >&2; exit 1
fi
if git ls-files 2>/dev/null | grep -E '\.min\.(js|css)$|(^|/)(uv\.lock|pylock\.toml)$|(^|/)node_modules/'; then
  echo "Third-party code or a lock with hosts is tracked." >&2; exit 1
fi

step "migrations and system checks"
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export PITCH_DATA="$data"
PITCH_MODE=demo python manage.py makemigrations --check --dry-run
PITCH_MODE=production PITCH_BASE_URL=https://pitch.example.test \
  PITCH_SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
  PITCH_LINK_KEYS="$(python -c 'import secrets; print(secrets.token_urlsafe(32))')" \
  PITCH_ENCRYPTION_KEYS="$(python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')" \
  python manage.py check --deploy --fail-level WARNING

step "ledger"
python scripts/ledger.py check
