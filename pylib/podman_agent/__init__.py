"""Podman that just works in whatever Kubernetes pod a Jenkins agent lands in.

Kept empty on purpose: the shim imports this package on every ``docker`` call.
"""

__version__ = "0.1.0"
