"""Safe sharing of one cache volume by many pods.

A volume holds several containers-storage directories (*stores*), one live pod each:

    VOLUME/podman-agent/KEY/N/{lock, state.json, storage/, tmp/, trash/}
    VOLUME/podman-agent/KEY/sealed/GENERATION/storage/

``claim`` is what the plan-making path calls; everything else belongs to ``podman-agent cache``.
"""

from podman_agent.store.claims import Claim, claim

__all__ = ["Claim", "claim"]
