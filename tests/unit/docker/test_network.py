"""Networks in docker's structure."""

from __future__ import annotations

from podman_agent.docker import network


def test_a_network_is_shown_in_dockers_structure() -> None:
    found = network.docker_network({
        "name": "podman", "id": "1", "driver": "bridge",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "containers": {"c1": {"name": "db", "interfaces": {"eth0": {"subnets": [{"ipnet": "10.88.0.2/16"}]}}}},
    })  # fmt: skip
    assert found["Name"] == "bridge"
    assert found["IPAM"]["Config"] == [{"Subnet": "10.88.0.0/16", "Gateway": "10.88.0.1"}]
    assert found["Containers"]["c1"]["IPv4Address"] == "10.88.0.2/16"
