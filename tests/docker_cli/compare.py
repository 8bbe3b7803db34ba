"""How much of corpus.toml works with our `docker`, with a bare podman, and with podman-docker's script.

``PYTHONPATH=tools:tests python tests/docker_cli/compare.py``; the figures are in docs/reference/docker.md.
All three run in one pod under the same plan and configuration files.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import outer
from docker_cli.conftest import PASSWORD, TEMPLATE, Lab

# podman-docker 5.4.2 (Debian), docker/docker.in: what it does besides its notice is to run podman.
OTHERS = r"""
mkdir -p /opt/bare /opt/podman-docker
ln -s /usr/bin/podman /opt/bare/docker
cat > /opt/podman-docker/docker <<'EOF'
#!/bin/sh
echo "Emulate Docker CLI using podman." >&2
exec /usr/bin/podman "$@"
EOF
for d in bare podman-docker; do printf '#!/bin/sh\nexit 127\n' > /opt/$d/docker-compose; chmod +x /opt/$d/*; done
podman pull -q busybox; rm -f /var/lib/containers/base.tar; podman save -q -o /var/lib/containers/base.tar busybox
"""


def show(name: str, results: list[dict[str, Any]]) -> None:
    seconds = sum(result["seconds"] for result in results)
    print(f"{name}: {sum(r['ok'] for r in results)} of {len(results)} in {seconds:.0f} s", flush=True)
    print("   fails:", *(number for number, result in enumerate(results) if not result["ok"]), flush=True)


def main() -> None:
    """Print two lines for each."""
    ways = {"ours": "/usr/local/bin", "podman": "/opt/bare", "podman-docker": "/opt/podman-docker"}
    with ExitStack() as stack:
        disk = stack.enter_context(outer.scratch("compare"))
        mirror = stack.enter_context(outer.Registry(disk / "mirror"))
        outer.push_busybox(mirror)
        registry = stack.enter_context(outer.Registry(disk / "open"))
        private = stack.enter_context(outer.Registry(disk / "private", "ci", PASSWORD))
        env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
        pod = stack.enter_context(outer.Pod(TEMPLATE, host_path=disk / "volume", env=env))
        pod.sh(OTHERS)
        lab = Lab(pod, disk / "volume", registry, private)
        for name, path in ways.items():
            show(name, lab.run_table("corpus.toml", path))
        for provider in ("/usr/libexec/docker/cli-plugins/docker-compose", "/opt/podman-agent/venv/bin/podman-compose"):
            show(provider, lab.run_table("compose.toml", PODMAN_COMPOSE_PROVIDER=provider))


if __name__ == "__main__":
    main()
