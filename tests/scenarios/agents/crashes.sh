# Fails.
echo "I cannot go on" >&2
exit 1
