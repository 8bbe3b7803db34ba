"""What this pod is: reads and trials, no decision."""
