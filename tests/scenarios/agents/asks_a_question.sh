# Asks a question, of whoever looks into T3 Code, and solves the issue once it has an answer.
. "$HERE/agents/lib.sh"
echo "t3: question Which colour?"
while [ ! -e "$T3_ANSWERS/1" ]; do sleep 0.02; done
greet_rightly
commit_all "Greet people by name"
push
echo "Greeted by name."
