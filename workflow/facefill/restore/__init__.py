"""Restoration: the holes of photographs, filled where a face is, laid back at full size."""
