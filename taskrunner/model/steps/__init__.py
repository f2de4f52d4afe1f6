"""What a step of EMR's asks for, read from its text: pure."""
