"""HTTP for taskrunner: a plugin package as anybody could write it."""
