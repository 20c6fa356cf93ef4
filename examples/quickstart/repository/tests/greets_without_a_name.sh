got=$(sh greet.sh)
[ "$got" = "hi" ] || { echo "expected: hi"; echo "     got: $got"; exit 1; }
