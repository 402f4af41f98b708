"""Bridges to other libraries of meta-learning, one folder a library."""
