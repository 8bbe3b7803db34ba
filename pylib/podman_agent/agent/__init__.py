"""The Jenkins inbound agent as this image starts it."""
