"""What routes ask for in their parameters, and whatever else opens a session."""
