# Ends well, and pushes nothing.
echo "Nothing to do, it seems."
