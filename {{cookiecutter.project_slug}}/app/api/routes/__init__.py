"""One module of routes for each resource."""
