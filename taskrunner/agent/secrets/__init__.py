"""Keeping secrets out of everything that a task leaves behind, however they are written there."""
