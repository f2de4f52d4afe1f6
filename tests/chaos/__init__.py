"""Faults for real: kill, pause, cut, fill. Short here; `make chaos` runs the full numbers."""
