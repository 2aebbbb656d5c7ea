#!/usr/bin/env bash
# Makes the reference pages of docs/ from the code, by the tests that compare them.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=$(git grep -l --untracked 'docstest\.Page(' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
RUNWAY_WRITE_DOCS=1 ${GO:-go} test -count=1 -run '^TestReference_' $packages
RUNWAY_WRITE_DOCS= ${GO:-go} test -count=1 -run '^TestReference_' $packages
git status --short docs manifest/FIELDS.md
