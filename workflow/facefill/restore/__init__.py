"""Restore: fill the holes of photographs, in the photographs themselves."""
