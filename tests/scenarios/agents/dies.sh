# Its process dies in the middle of the work.
echo "Let me see."
exit 3
