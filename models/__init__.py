"""What is learned: the only home of River."""
