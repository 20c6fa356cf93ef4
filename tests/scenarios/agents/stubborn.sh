# Works for ever, and does not end when it is asked to.
trap '' TERM
: >"$HERE/stubborn-is-up"
while :; do sleep 0.1; done
