#!/bin/sh
# Runs every test in tests/; each prints what it expected and exits 1 when it fails.
set -eu

for test in tests/*.sh; do
    sh "$test" || { echo "FAILED: $test"; exit 1; }
done
echo "all tests pass"
