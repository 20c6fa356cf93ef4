# Says something, and solves the issue once the test says so.
. "$HERE/agents/lib.sh"
echo "Let me see."
: >"$HERE/talked"
while [ ! -e "$HERE/go" ]; do sleep 0.02; done
greet_rightly
commit_all "Greet people by name"
push
