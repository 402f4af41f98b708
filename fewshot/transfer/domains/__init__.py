"""Domains: how far a source and a target lie apart, of what kind the shift is, and what adapts to it."""
