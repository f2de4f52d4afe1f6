"""Programs of others, run by the virtual environment that `make bench` makes for them."""
