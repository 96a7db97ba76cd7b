"""What is kept of a measurement, and how people see it."""
