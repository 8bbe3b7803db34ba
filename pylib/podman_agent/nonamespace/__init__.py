"""Building where the pod's seccomp profile forbids every namespace and mount (``RuntimeDefault``)."""
