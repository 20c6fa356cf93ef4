# Works for ever and says nothing. It ends when it is asked to.
exec sleep 1000
