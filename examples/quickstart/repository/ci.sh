#!/bin/sh
# The judge of every commit: the tests, then the house style. Agents may not change this file (`[protect]`).
set -eu

sh test.sh

# Whoever is greeted by name is greeted with a comma.
got=$(sh greet.sh ada)
case $got in
*ada*)
    if [ "$got" != "hi, ada" ]; then
        echo "house style: a name is set off with a comma"
        echo "expected: hi, ada"
        echo "     got: $got"
        exit 1
    fi
    ;;
esac
echo "house style holds"
