#!/bin/sh
# Greets: sh greet.sh [NAME]
set -eu

echo "hi"
