"""What several kernels are made of: the description of a launch, and straight-line pieces."""
