"""The verification of the template: every variant is generated, checked, and run."""
