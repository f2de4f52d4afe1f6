"""The logs of tasks and of the agent itself: written, bounded, pushed, kept for a while."""
