"""Is the answer still good: graders and statistics."""
