"""What the service accepts and answers, one module for each resource."""
