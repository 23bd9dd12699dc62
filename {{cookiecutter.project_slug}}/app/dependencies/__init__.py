"""What routes ask for in their parameters."""
