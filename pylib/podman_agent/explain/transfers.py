"""Pulls and pushes: what registries answer, and whether another attempt helps.

The words are Go's and containers/image's (https://github.com/containers/image/tree/v5.34.3/docker).
"""

from __future__ import annotations

from podman_agent.explain.explanation import PODMAN, Explanation

HEADING = "Registries"
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that say "later" (https://www.rfc-editor.org/rfc/rfc9110#section-15,
https://www.rfc-editor.org/rfc/rfc8470#section-5.2 and https://www.rfc-editor.org/rfc/rfc6585)."""

# What containers/image puts before every error of a transfer, and no program in a build step does.
_AT = (
    r"\b(?:pinging container registry|parsing image configuration|"
    r"copying (?:blob|config|system image)|(?:reading|writing) (?:blob|config|manifest)"
    r"|initiating layer upload|uploading (?:layer|manifest)|initializing (?:source|destination)"
    r"|(?:trying to )?reus(?:e|ing) blob|checking (?:whether a blob|push permissions)|logging into|fetching blob)\b.*: "
)
_SPEC = "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes"
_TRANSPORT = "https://github.com/containers/image/blob/v5.34.3/docker/docker_client.go"
_AGAIN = "pulls and pushes are tried again by themselves; beyond that, look at the registry and what is before it"
_LATER = "|".join(str(status) for status in sorted(TRANSIENT_STATUS - {429}))

UNAUTHORIZED = Explanation(
    "Error: reading manifest 1 in r.example/x: unauthorized: authentication required",
    _AT + r"(?:unauthorized\b|.*authentication required|invalid username/password)",
    "the registry does not take this login, or there is none",
    "log in with docker login or podman-agent login, or check the pull secret",
    "https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md",
    again=False,
    verdict=r"unauthorized|authentication required|invalid username/password|\b401\b",
    name="unauthorized",
)
# A registry of several replicas has the manifest before all of them have its layers.
BLOB_GONE = Explanation(
    "Error: reading blob sha256:0f3d…: fetching blob: blob unknown to registry",
    r"\b(?:reading|fetching) blob\b.*: (?:.*blob unknown|.*\b404\b)",
    "the registry has the image's manifest and not, or not yet, this layer of it",
    f"{_AGAIN}; push the image again if its layer is gone for good",
    _SPEC,
    again=True,
    name="a layer is not there",
)
NOT_FOUND = Explanation(
    "Error: reading manifest 1 in r.example/x: manifest unknown",
    _AT + r"(?:manifest unknown|name unknown|.*repository name not known)",
    "the registry has no such image, or no such tag of it",
    "check name and tag; some registries say so of a private image, too: log in",
    _SPEC,
    again=False,
    verdict=r"manifest unknown|name unknown|image not known|no such image|\b404\b|Image may not exist",
    name="not found",
)
_PLAIN = Explanation(
    'pinging container registry r.example: Get "https://r.example/v2/": http: server gave HTTP response to HTTPS'
    " client",
    r"\bserver gave HTTP response to HTTPS client",
    "the registry speaks plain HTTP",
    "if that is meant, PODMAN_AGENT_INSECURE_REGISTRIES=host:port, or --insecure of podman-agent's commands",
    "https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md",
    again=False,
    name="the registry speaks plain HTTP",
)
_CERTIFICATE = Explanation(
    'pinging container registry r: Get "https://r/v2/": tls: failed to verify certificate: x509: certificate signed'
    " by unknown authority",
    _AT + r".*\bx509: ",
    "nobody whom this pod trusts has signed the registry's certificate, or it is of another name or time",
    "mount its CA as /etc/containers/certs.d/HOST:PORT/ca.crt (a ConfigMap will do), or use --cert-dir",
    "https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md",
    again=False,
    verdict=r"x509: |certificate signed by unknown|certificate is not valid",
    name="certificate not trusted",
)
_UNKNOWN_HOST = Explanation(
    'pinging container registry r.example: Get "https://r.example/v2/": dial tcp: lookup r.example on'
    " 10.96.0.10:53: no such host",
    _AT + r".*\bno such host",
    "this pod's DNS does not know the registry's name",
    "check the name; a pod with hostNetwork: true finds services with dnsPolicy: ClusterFirstWithHostNet only",
    "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/",
    again=False,
    verdict=r"no such host",
    name="unknown host",
)
UNREACHABLE = (_PLAIN, _CERTIFICATE, _UNKNOWN_HOST)
RULES = (
    BLOB_GONE,
    UNAUTHORIZED,
    Explanation(
        "Error: checking push permissions: denied: requested access to the resource is denied",
        _AT + r"(?:denied\b|.*\b403 \(?Forbidden)",
        "the registry knows this login and does not let it do that",
        "the rights of this login, or log in as another; in Docker Hub's name: docker.io/OWNER/NAME",
        _SPEC,
        again=False,
        verdict=r"\bdenied\b|\bforbidden\b|\b403\b",
        name="denied",
    ),
    NOT_FOUND,
    Explanation(
        'Error: parsing reference "r.example/UP:1": repository name must be lowercase',
        r"\brepository name must be lowercase",
        "no image may be called so",
        "names are lower case: registry/team/image:tag",
        "https://github.com/distribution/reference/blob/main/reference.go",
        again=False,
        verdict=r"name invalid|invalid reference|must be lowercase|[Ii]nvalid image name",
        name="name invalid",
    ),
    *UNREACHABLE,
    Explanation(
        "Error: reading manifest 1 in docker.io/library/x: toomanyrequests: You have reached your pull rate limit.",
        r"\btoomanyrequests: |" + _AT + r".*(?:too many requests|\b429 \(?Too Many)",
        "the registry answers so often only, for all pods behind one address together",
        "log in; or a mirror, PODMAN_AGENT_MIRRORS=docker.io=mirror.example.com",
        "https://docs.docker.com/docker-hub/usage/pulls/",
        again=True,
        verdict=r"toomanyrequests|too many requests|\b429\b",
        name="429 Too Many Requests",
    ),
    Explanation(
        "received unexpected HTTP status: 502 Bad Gateway",
        rf"received unexpected HTTP status: (?:{_LATER})\b|: invalid status code from registry (?:{_LATER})\b"
        rf"|: StatusCode: (?:{_LATER}), ",
        "the registry, or a proxy before it, has a fault of its own",
        _AGAIN,
        PODMAN + "23568",
        again=True,
        verdict=rf"\b(?:{_LATER})\b(?: [A-Z][a-z]+(?: [A-Z][a-z]+)*)?"
        r"|(?i:internal server error|bad gateway|service unavailable|gateway time-?out)",
    ),
    Explanation(
        "Error: writing blob: uploading layer chunked: unexpected EOF",
        _AT + r"(?:.*: )?unexpected EOF",
        "the registry, or a proxy before it, broke off",
        _AGAIN,
        PODMAN + "23568",
        again=True,
        verdict=r"unexpected EOF",
        name="unexpected EOF",
    ),
    Explanation(
        'pinging container registry r.example: Get "https://r.example/v2/": net/http: TLS handshake timeout',
        _AT + r".*(?:TLS handshake (?:timeout|EOF)|remote error: tls: internal error)",
        "the registry, or a proxy before it, did not answer to the start of TLS",
        _AGAIN,
        _TRANSPORT,
        again=True,
        verdict=r"TLS handshake (?:timeout|EOF)|tls: .*EOF|remote error: tls: internal error",
        name="TLS handshake",
    ),
    Explanation(
        'pinging container registry r.example: Get "https://r.example/v2/": dial tcp 10.0.0.1:443: connect:'
        " connection refused",
        _AT + r".*(?:connection (?:refused|reset by peer|timed out)|no route to host)",
        "nothing listens there, or a network policy or proxy lets this pod not through",
        "check host and port, NetworkPolicy and HTTPS_PROXY; podman-agent wait-registry waits for one that starts",
        _TRANSPORT,
        again=True,
        verdict=r"connection (?:refused|reset by peer|timed out)|no route to host",
    ),
    Explanation(
        'pinging container registry r.example: Get "https://r.example/v2/": context deadline exceeded',
        _AT + r".*(?:i/o timeout|Client\.Timeout|deadline exceeded|server misbehaving)",
        "the registry, or this pod's DNS, does not answer in time",
        _AGAIN,
        _TRANSPORT,
        again=True,
        verdict=r"i/o timeout|Client\.Timeout|deadline exceeded|timed? ?out|server misbehaving",
        name="timeout",
    ),
    Explanation(
        'Error: uploading manifest 1 to r.example/x: Put "https://r.example/v2/x/manifests/1": EOF',
        _AT + r".*(?:\": EOF|use of closed network connection|broken pipe|http2: server closed|network is unreachable)",
        "the connection to the registry was lost",
        _AGAIN,
        _TRANSPORT,
        again=True,
        verdict=r"(?:: |\b)EOF\b|use of closed network connection|broken pipe|server closed|GOAWAY"
        r"|network is unreachable|Connection aborted|RemoteDisconnected",
        name="connection lost",
    ),
    Explanation(
        "Error: writing blob: uploading layer: digest invalid: provided digest did not match uploaded content",
        _AT + r".*(?:digest (?:invalid|did not match)|provided digest did not match)",
        "a layer was damaged on its way",
        f"{_AGAIN}; a proxy that rewrites bodies damages every one",
        _SPEC,
        again=True,
        verdict=r"digest (?:invalid|did not match)|provided digest did not match",
        name="corrupted on the way",
    ),
    Explanation(
        "Error: writing blob: uploading layer chunked: blob upload unknown to registry",
        _AT + r".*blob upload (?:unknown|invalid)",
        "the registry lost the upload: its replicas share no storage, or its storage is inconsistent",
        f"{_AGAIN}: replicas of a registry need one storage",
        _SPEC,
        again=True,
        verdict=r"blob upload (?:unknown|invalid)|blob unknown",
        name="the registry lost the upload",
    ),
)
