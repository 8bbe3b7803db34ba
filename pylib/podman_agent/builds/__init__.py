"""Several images in one run, and what Jenkins archives of it."""
