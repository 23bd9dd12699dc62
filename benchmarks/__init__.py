"""What the template costs, and what its services do: `make benchmark-bake` and `make benchmark`."""
