"""Mayfly's side of the Python runtime; standard library only, for Python 3.9 and later."""
