"""What does each command of `aat` do? One file a command, `run(argv) -> exit status`."""
