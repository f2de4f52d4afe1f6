"""`taskrunner pull`, `assess`, `diff` and `apply`: pipelines of an account as files, and back."""
