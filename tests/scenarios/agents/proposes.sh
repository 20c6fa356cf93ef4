# Solves the issue on the branch of its run, for a pull request.
. "$HERE/agents/lib.sh"
greet_rightly
commit_all "Greet people by name, turn $1"
git push --quiet origin "HEAD:refs/heads/afk/$AFK_RUN"
echo "Greeted by name."
