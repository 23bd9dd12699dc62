"""Services on clusters of several servers."""
