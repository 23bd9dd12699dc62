"""What the service guarantees, whatever its resources are.

These tests have models and routes of their own. They name none of the service's, and
pass whatever a team deletes, protects or renames: do not weaken one.
"""
