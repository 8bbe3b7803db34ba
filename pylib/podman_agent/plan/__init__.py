"""One pure function from facts to a plan, and a plan as texts."""
