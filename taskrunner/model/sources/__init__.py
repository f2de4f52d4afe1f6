"""The file forms that a definition comes in, each read into one tree that remembers positions."""
