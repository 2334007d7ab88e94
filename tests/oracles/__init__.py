"""Slow, obvious references that the tests hold the fast code against."""
