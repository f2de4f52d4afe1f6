"""Pages: each asks /v1's handlers for the visitor, and renders what a view makes of the answers."""
