"""Load, faults and races, on real servers: `make test-faults`."""
