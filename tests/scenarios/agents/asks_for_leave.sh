# Asks for leave, of whoever looks into T3 Code, before it solves the issue.
. "$HERE/agents/lib.sh"
echo "t3: approval rm -rf build"
while [ ! -e "$T3_ANSWERS/1" ]; do sleep 0.02; done
greet_rightly
commit_all "Greet people by name"
push
echo "Greeted by name."
