"""On which problems everything is checked, and how much error is allowed."""
