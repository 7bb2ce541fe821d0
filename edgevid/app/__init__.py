"""Level 5: the command line and the wiring of workloads."""
