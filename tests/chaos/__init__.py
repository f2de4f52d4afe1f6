"""Faults for real: kill, pause, cut, fill. Short here; `make chaos` runs the numbers of trials that count."""
