# Says far more than anybody wants to keep; and then solves the issue.
. "$HERE/agents/lib.sh"
yes "and another thing" | head -c 30000000
greet_rightly
commit_all "Greet people by name"
push
echo "The last words."
