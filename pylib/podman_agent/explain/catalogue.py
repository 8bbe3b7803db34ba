"""The well-known error texts: each with what it means in a pod, and what to change."""

from __future__ import annotations

from podman_agent.explain import clients, pods, stores

RULES = (*stores.RULES, *pods.RULES, *clients.RULES)
